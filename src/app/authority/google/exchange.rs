//! One token for credentials: the request that asks for it (RFC 7523, RFC 6749 section 6, the metadata server's own) and
//! what the answer says. Nothing is kept or repeated.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, RequestBuilder};
use rustls::{ClientConfig, SignatureScheme};
use serde::Deserialize;
use serde_json::json;

use super::credentials::{CredentialError, Credentials, Kind};
use crate::app::failure::chain;
use crate::app::surroundings::wall_clock;
use crate::domain::Secret;
use crate::provider::MAX_ERROR_CHARS;

/// What tokens are wanted for.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
/// How long a signed wish for a token holds, in seconds: the most that is taken.
const WISH_LASTS: u64 = 3_600;
/// How long a server of tokens may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a machine's own may take: where there is none, nobody answers.
const METADATA_PATIENCE: Duration = Duration::from_secs(3);

/// A token, and how long it lives from now.
pub(super) struct Token {
    pub(super) secret: Secret,
    pub(super) lives: Duration,
}

/// Asks for tokens.
pub(super) struct Exchange {
    credentials: Credentials,
    client: Client,
}

#[derive(Deserialize)]
struct Given {
    access_token: String,
    expires_in: u64,
}

/// A refusal (RFC 6749, 5.2).
#[derive(Deserialize)]
struct Refusal {
    error: String,
    error_description: Option<String>,
}

impl Exchange {
    pub(super) fn new(
        credentials: Credentials,
        tls: &Arc<ClientConfig>,
        no_proxy: bool,
    ) -> Result<Self, CredentialError> {
        let mut builder = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .tls_backend_preconfigured((**tls).clone());
        if no_proxy || matches!(credentials.kind, Kind::Metadata { .. }) {
            builder = builder.no_proxy();
        }
        let client = builder.build();
        let client = client.map_err(|error| credentials.unreachable(error))?;
        Ok(Self {
            credentials,
            client,
        })
    }

    /// A new token.
    pub(super) async fn token(&self) -> Result<Token, CredentialError> {
        let unreachable = |error| self.credentials.unreachable(error);
        let answer = self.request()?.send().await.map_err(unreachable)?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(unreachable)?;
        if !status.is_success() {
            let words = words_of(&body);
            return Err(self.refused(&format!("status {status}: {words}")));
        }
        let given = serde_json::from_slice::<Given>(&body);
        let given = given.map_err(|_| self.refused("its answer has no token"))?;
        if given.access_token.is_empty() || given.expires_in == 0 {
            return Err(self.refused("its token is empty, or has ended already"));
        }
        Ok(Token {
            secret: Secret::new(given.access_token),
            lives: Duration::from_secs(given.expires_in),
        })
    }

    fn request(&self) -> Result<RequestBuilder, CredentialError> {
        let (uri, form) = match &self.credentials.kind {
            Kind::Metadata { host, .. } => {
                let url = format!(
                    "http://{host}/computeMetadata/v1/instance/service-accounts/default/token?scopes={}",
                    escaped(SCOPE)
                );
                let request = self.client.get(url).header("metadata-flavor", "Google");
                return Ok(request.timeout(METADATA_PATIENCE));
            }
            Kind::ServiceAccount { token_uri, .. } => {
                let grant = "urn:ietf:params:oauth:grant-type:jwt-bearer";
                let wish = self.credentials.signed_wish()?;
                (
                    token_uri,
                    form(&[("grant_type", grant), ("assertion", &wish)]),
                )
            }
            Kind::User {
                client_id,
                client_secret,
                refresh_token,
                token_uri,
            } => {
                let fields = [
                    ("grant_type", "refresh_token"),
                    ("client_id", client_id),
                    ("client_secret", client_secret.expose()),
                    ("refresh_token", refresh_token.expose()),
                ];
                (token_uri, form(&fields))
            }
        };
        let request = self.client.post(uri).body(form).timeout(PATIENCE);
        Ok(request.header(CONTENT_TYPE, "application/x-www-form-urlencoded"))
    }

    fn refused(&self, words: &str) -> CredentialError {
        let secrets = self.credentials.secrets.iter();
        let words = secrets.fold(words.to_owned(), |words, secret| secret.masked_in(&words));
        CredentialError::Refused {
            server: self.credentials.server().to_owned(),
            words: words.chars().take(MAX_ERROR_CHARS).collect(),
        }
    }
}

impl Credentials {
    /// Who gives the tokens.
    fn server(&self) -> &str {
        match &self.kind {
            Kind::ServiceAccount { token_uri, .. } | Kind::User { token_uri, .. } => token_uri,
            Kind::Metadata { host, .. } => host,
        }
    }

    fn unreachable(&self, error: reqwest::Error) -> CredentialError {
        if let Kind::Metadata {
            instead_of: Some(file),
            ..
        } = &self.kind
        {
            return CredentialError::Nowhere(file.clone());
        }
        CredentialError::Unreachable {
            server: self.server().to_owned(),
            cause: chain(&error.without_url()),
        }
    }

    /// The wish of a service account for a token, signed as it is to be (RFC 7515, RS256).
    fn signed_wish(&self) -> Result<String, CredentialError> {
        let Kind::ServiceAccount {
            email,
            key,
            key_id,
            token_uri,
        } = &self.kind
        else {
            return Err(CredentialError::Key);
        };
        let now = wall_clock().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = now.as_secs();
        let mut head = json!({"alg": "RS256", "typ": "JWT"});
        if let Some(id) = key_id {
            head["kid"] = json!(id);
        }
        let claims = json!({
            "iss": email,
            "scope": SCOPE,
            "aud": token_uri,
            "iat": now,
            "exp": now + WISH_LASTS,
        });
        let encoded = |part: &serde_json::Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let signed = format!("{}.{}", encoded(&head), encoded(&claims));
        let signer = key.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256]);
        let signature = signer.and_then(|signer| signer.sign(signed.as_bytes()).ok());
        let signature = signature.ok_or(CredentialError::Key)?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

/// What a refusal says.
fn words_of(body: &[u8]) -> String {
    match serde_json::from_slice(body) {
        Ok(Refusal {
            error,
            error_description: Some(description),
        }) => format!("{error}: {description}"),
        Ok(Refusal { error, .. }) => error,
        Err(_) => crate::provider::error_text(body),
    }
}

/// A body of fields (`application/x-www-form-urlencoded`).
fn form(fields: &[(&str, &str)]) -> String {
    let fields: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("{name}={}", escaped(value)))
        .collect();
    fields.join("&")
}

fn escaped(text: &str) -> String {
    crate::provider::path_segment(text)
}
