//! TLS to the server: whom to trust and which HTTP to agree on. It opens no connection.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

/// Whom to trust.
#[derive(Clone, Debug, Default)]
pub struct TlsSettings {
    /// Trust anybody.
    pub insecure_skip_verify: bool,
    /// PEM of further authorities.
    pub ca_pem: Option<String>,
    /// Speak HTTP/2.
    pub http2: bool,
}

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The PEM has no certificate, or one that cannot be read.
    #[error("the CA file has no certificate, or one that cannot be read")]
    NoCertificate,
    /// rustls refused the settings.
    #[error("TLS cannot be set up")]
    Refused(#[from] rustls::Error),
}

/// Makes ring the process's cryptography, once; the later calls change nothing.
pub fn install_crypto() {
    // An error means that somebody installed one before: that one serves.
    let _ = ring::default_provider().install_default();
}

impl TlsSettings {
    /// The rustls configuration: the system's authorities (Mozilla's where the system has none) and `ca_pem`.
    pub fn config(&self) -> Result<Arc<ClientConfig>, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?;
        let mut config = if self.insecure_skip_verify {
            let verifier = Arc::new(TrustAnybody(provider));
            builder
                .dangerous()
                .with_custom_certificate_verifier(verifier)
                .with_no_client_auth()
        } else {
            builder
                .with_root_certificates(self.roots()?)
                .with_no_client_auth()
        };
        config.alpn_protocols = vec![if self.http2 {
            b"h2".to_vec()
        } else {
            b"http/1.1".to_vec()
        }];
        Ok(Arc::new(config))
    }

    fn roots(&self) -> Result<RootCertStore, TlsError> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        if let Some(pem) = &self.ca_pem {
            let found: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes())
                .collect::<Result<_, _>>()
                .map_err(|_| TlsError::NoCertificate)?;
            let (added, ignored) = roots.add_parsable_certificates(found);
            if added == 0 || ignored > 0 {
                return Err(TlsError::NoCertificate);
            }
        }
        Ok(roots)
    }
}

/// `--insecure-skip-verify`: any certificate will do, but the handshake's signatures are still checked.
#[derive(Debug)]
struct TrustAnybody(Arc<CryptoProvider>);

impl ServerCertVerifier for TrustAnybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
