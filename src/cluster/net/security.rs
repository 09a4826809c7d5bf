//! Who may talk to a master, and whom a worker believes: tokens and TLS, made from texts that somebody else read.
//! It opens no connection and no file.

use std::fmt;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tonic::metadata::{Ascii, MetadataMap, MetadataValue};

use crate::domain::Secret;

/// The protocol inside TLS: both ends know no other.
const ALPN: &[u8] = b"h2";

/// The metadata that carries a token.
const AUTHORIZATION: &str = "authorization";
const SCHEME: &str = "Bearer ";

/// Why TLS or a token cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SecurityError {
    /// The text has no certificate.
    #[error("there is no certificate in it, or one that cannot be read")]
    Certificate,
    /// The text has no key.
    #[error("there is no key in it, or one that cannot be read")]
    Key,
    /// The text has no authority.
    #[error("there is no certificate authority in it, or one that cannot be used")]
    Authority,
    /// Neither a DNS name nor an address.
    #[error("`{0}` is no name that a certificate can have")]
    ServerName(String),
    /// The token cannot be sent.
    #[error("the token has characters that a header cannot carry")]
    Token,
    /// The pieces do not fit.
    #[error("certificate and key cannot be used together")]
    Refused(#[from] rustls::Error),
}

/// What a master asks of whoever connects. Nothing, by default.
#[derive(Clone, Default)]
pub struct ServerSecurity {
    token: Option<TokenDigest>,
    pub(super) tls: Option<Arc<ServerConfig>>,
}

impl ServerSecurity {
    /// Asks for this token on each call.
    #[must_use]
    pub fn with_token(self, token: &Secret) -> Self {
        Self {
            token: Some(TokenDigest::of(token.expose().as_bytes())),
            ..self
        }
    }

    /// Speaks TLS with this certificate chain and key, and asks for certificates of `client_ca`, all PEM.
    ///
    /// # Errors
    /// When one of them is none, or they do not fit.
    pub fn with_tls(
        self,
        cert: &str,
        key: &Secret,
        client_ca: Option<&str>,
    ) -> Result<Self, SecurityError> {
        let provider = provider();
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&TLS13])?;
        let builder = match client_ca {
            None => builder.with_no_client_auth(),
            Some(pem) => {
                let mut roots = RootCertStore::empty();
                trust(&mut roots, pem)?;
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                let verifier = verifier.build().map_err(|_| SecurityError::Authority)?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder.with_single_cert(certificates(cert)?, private_key(key)?)?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Self {
            tls: Some(Arc::new(config)),
            ..self
        })
    }

    /// Whether nobody on the way can read what is said.
    pub fn is_encrypted(&self) -> bool {
        self.tls.is_some()
    }

    /// Whether a call may go on. It takes as long for a good token as for a bad one and for none.
    pub(super) fn admits(&self, metadata: &MetadataMap) -> bool {
        let Some(wanted) = &self.token else {
            return true;
        };
        let value = metadata.get(AUTHORIZATION).map(MetadataValue::as_bytes);
        let told = value.and_then(|value| value.strip_prefix(SCHEME.as_bytes()));
        let is_it = TokenDigest::of(told.unwrap_or_default()).is(wanted);
        is_it && told.is_some()
    }
}

impl fmt::Debug for ServerSecurity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerSecurity")
            .field("token", &self.token.is_some())
            .field("tls", &self.tls.is_some())
            .finish()
    }
}

/// What a worker tells its master, and what it believes. Nothing and everything, by default.
#[derive(Clone, Default)]
pub struct ClientSecurity {
    token: Option<MetadataValue<Ascii>>,
    pub(super) tls: Option<ClientTls>,
}

/// TLS to a master.
#[derive(Clone)]
pub(super) struct ClientTls {
    pub config: Arc<ClientConfig>,
    /// The name in its certificate, where it is not the host.
    pub server_name: Option<ServerName<'static>>,
}

/// What TLS to a master is made of, all PEM.
#[derive(Clone, Debug, Default)]
pub struct ClientTlsParts {
    /// The authority to trust; `None` for the system's (Mozilla's where it has none).
    pub ca: Option<String>,
    /// One's own certificate chain and its key.
    pub identity: Option<(String, Secret)>,
    /// The name in the master's certificate; `None` for the host that is connected to.
    pub server_name: Option<String>,
}

impl ClientSecurity {
    /// Tells this token with each call.
    ///
    /// # Errors
    /// When it cannot be put into a header.
    pub fn with_token(self, token: &Secret) -> Result<Self, SecurityError> {
        let value = format!("{SCHEME}{}", token.expose());
        let mut value = MetadataValue::try_from(value).map_err(|_| SecurityError::Token)?;
        value.set_sensitive(true);
        Ok(Self {
            token: Some(value),
            ..self
        })
    }

    /// Speaks TLS.
    ///
    /// # Errors
    /// When a part is not what it should be, or they do not fit.
    pub fn with_tls(self, parts: &ClientTlsParts) -> Result<Self, SecurityError> {
        let mut roots = RootCertStore::empty();
        match &parts.ca {
            Some(pem) => trust(&mut roots, pem)?,
            None => trust_the_system(&mut roots),
        }
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])?
            .with_root_certificates(roots);
        let mut config = match &parts.identity {
            None => builder.with_no_client_auth(),
            Some((cert, key)) => {
                builder.with_client_auth_cert(certificates(cert)?, private_key(key)?)?
            }
        };
        config.alpn_protocols = vec![ALPN.to_vec()];
        let named = parts.server_name.as_ref().map(|name| server_name(name));
        Ok(Self {
            tls: Some(ClientTls {
                config: Arc::new(config),
                server_name: named.transpose()?,
            }),
            ..self
        })
    }

    /// Puts the token into a call's metadata.
    pub(super) fn sign(&self, metadata: &mut MetadataMap) {
        if let Some(token) = &self.token {
            metadata.insert(AUTHORIZATION, token.clone());
        }
    }

    pub(super) fn has_token(&self) -> bool {
        self.token.is_some()
    }
}

impl fmt::Debug for ClientSecurity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientSecurity")
            .field("token", &self.token.is_some())
            .field("tls", &self.tls.is_some())
            .finish()
    }
}

/// Why a master will not have this worker, or this worker that master, however often it is tried.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// The master asks for a token and was told none.
    #[error("the master asks for a token, and this worker has none")]
    NoToken,
    /// The token that was told is not the master's.
    #[error("the master does not accept this worker's token")]
    WrongToken,
    /// One end does not believe the other's certificate, or does not speak TLS.
    #[error("TLS with the master fails: {0}")]
    Tls(String),
}

/// A name as certificates have it, of a host without brackets.
pub(super) fn server_name(host: &str) -> Result<ServerName<'static>, SecurityError> {
    ServerName::try_from(host.to_owned()).map_err(|_| SecurityError::ServerName(host.to_owned()))
}

/// A token as a master keeps it: of all lengths the same, so that comparing two tells nothing of either.
#[derive(Clone)]
struct TokenDigest([u8; 32]);

impl TokenDigest {
    fn of(token: &[u8]) -> Self {
        Self(Sha256::digest(token).into())
    }

    fn is(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, SecurityError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    found
        .ok()
        .filter(|found| !found.is_empty())
        .ok_or(SecurityError::Certificate)
}

fn private_key(pem: &Secret) -> Result<PrivateKeyDer<'static>, SecurityError> {
    PrivateKeyDer::from_pem_slice(pem.expose().as_bytes()).map_err(|_| SecurityError::Key)
}

fn trust(roots: &mut RootCertStore, pem: &str) -> Result<(), SecurityError> {
    let found = certificates(pem).map_err(|_| SecurityError::Authority)?;
    let (added, ignored) = roots.add_parsable_certificates(found);
    if added == 0 || ignored > 0 {
        return Err(SecurityError::Authority);
    }
    Ok(())
}

fn trust_the_system(roots: &mut RootCertStore) {
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "a-token-of-many-bytes";

    fn told(text: &str) -> MetadataMap {
        let mut metadata = MetadataMap::new();
        metadata.insert(AUTHORIZATION, text.parse().unwrap());
        metadata
    }

    #[test]
    fn only_the_whole_token_in_its_place_is_admitted() {
        let secured = ServerSecurity::default().with_token(&Secret::new(TOKEN));
        let mut signed = MetadataMap::new();
        let client = ClientSecurity::default();
        client
            .with_token(&Secret::new(TOKEN))
            .unwrap()
            .sign(&mut signed);
        assert!(secured.admits(&signed));
        assert!(signed.get(AUTHORIZATION).unwrap().is_sensitive());
        assert!(!secured.admits(&MetadataMap::new()));
        for bad in [
            "",
            TOKEN,
            "Bearer ",
            "Bearer a-token-of-many-byte",
            "Bearer A-token-of-many-bytes",
        ] {
            assert!(!secured.admits(&told(bad)), "{bad}");
        }
        assert!(!secured.admits(&told(&format!("Bearer {TOKEN} "))));
        assert!(ServerSecurity::default().admits(&MetadataMap::new()));
    }

    #[test]
    fn an_empty_token_is_told_from_none() {
        let secured = ServerSecurity::default().with_token(&Secret::new(""));
        assert!(!secured.admits(&MetadataMap::new()));
    }

    #[test]
    fn nothing_shows_a_token_or_a_key() {
        let server = ServerSecurity::default().with_token(&Secret::new(TOKEN));
        let client = ClientSecurity::default()
            .with_token(&Secret::new(TOKEN))
            .unwrap();
        let mut metadata = MetadataMap::new();
        client.sign(&mut metadata);
        let parts = ClientTlsParts {
            identity: Some(("cert".to_owned(), Secret::new(TOKEN))),
            ..ClientTlsParts::default()
        };
        let text = format!("{server:?} {client:?} {metadata:?} {parts:?}");
        assert!(!text.contains(TOKEN), "{text}");
    }

    #[test]
    fn texts_that_are_no_certificates_are_refused_by_what_they_should_be() {
        let key = Secret::new("no key");
        let none = || ServerSecurity::default();
        assert!(matches!(
            none().with_tls("no certificate", &key, None),
            Err(SecurityError::Certificate)
        ));
        assert!(matches!(
            none().with_tls("", &key, Some("nobody")),
            Err(SecurityError::Authority)
        ));
        let parts = ClientTlsParts {
            ca: Some("nobody".to_owned()),
            ..ClientTlsParts::default()
        };
        assert!(matches!(
            ClientSecurity::default().with_tls(&parts),
            Err(SecurityError::Authority)
        ));
        let parts = ClientTlsParts {
            server_name: Some("not a name".to_owned()),
            ..ClientTlsParts::default()
        };
        assert!(matches!(
            ClientSecurity::default().with_tls(&parts),
            Err(SecurityError::ServerName(_))
        ));
    }
}
