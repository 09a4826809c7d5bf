//! Where application-default credentials are, and what they hold: a file that a variable or the well-known place names, or the
//! metadata server of the machine. Nothing is asked of anybody here.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::sign::SigningKey;
use serde::Deserialize;

use super::is_loopback;
use crate::domain::Secret;

/// Names a file of credentials.
const FILE_VARIABLE: &str = "GOOGLE_APPLICATION_CREDENTIALS";
/// LiteLLM's name for such a file, or for what stands in one.
const LITELLM_VARIABLE: &str = "VERTEXAI_CREDENTIALS";
/// Names the folder of gcloud's files.
const FOLDER_VARIABLE: &str = "CLOUDSDK_CONFIG";
/// Names the metadata server, host and port.
const METADATA_VARIABLE: &str = "GCE_METADATA_HOST";
/// Says that there is no metadata server to look for.
const NO_METADATA_VARIABLE: &str = "NO_GCE_CHECK";
/// Names the project that pays for a person's requests.
const QUOTA_VARIABLE: &str = "GOOGLE_CLOUD_QUOTA_PROJECT";

const WELL_KNOWN_FILE: &str = "application_default_credentials.json";
const METADATA_HOST: &str = "metadata.google.internal";
const TOKEN_URI: &str = "https://oauth2.googleapis.com/token";

/// Why there is no token. Without a secret.
#[derive(Debug, thiserror::Error)]
pub(super) enum CredentialError {
    /// Nothing was found anywhere.
    #[error(
        "no credentials for Google Cloud: there is neither GCLOUD_ACCESS_TOKEN nor {FILE_VARIABLE} nor `{0}`, and no metadata server"
    )]
    Nowhere(String),
    /// A file that is named cannot be read.
    #[error("cannot read the credentials `{path}`: {cause}")]
    Unreadable { path: String, cause: std::io::Error },
    /// A file is no file of credentials. What it holds is not shown.
    #[error("`{path}` holds no credentials: {what}")]
    Malformed { path: String, what: String },
    /// A kind of credentials that this program has no way with.
    #[error("`{path}` holds credentials of type `{kind}`, which cannot be used here")]
    Unsupported { path: String, kind: String },
    /// The server of tokens could not be asked.
    #[error("cannot get a token from `{server}`: {cause}")]
    Unreachable { server: String, cause: String },
    /// The server of tokens gave none.
    #[error("`{server}` gives no token: {words}")]
    Refused { server: String, words: String },
    /// The key signs nothing.
    #[error("the private key of the credentials cannot sign")]
    Key,
    /// Called where no task can run.
    #[error("there is nothing to run a renewal of tokens on")]
    NoRuntime,
}

impl CredentialError {
    /// What to do.
    pub(super) fn hint(&self) -> String {
        match self {
            Self::Unsupported { .. } => {
                "a token helps for an hour: GCLOUD_ACCESS_TOKEN=$(gcloud auth print-access-token)"
            }
            Self::Refused { .. } => "`gcloud auth application-default login` makes new credentials",
            _ => {
                "`gcloud auth application-default login` makes credentials; GOOGLE_APPLICATION_CREDENTIALS names a file of them"
            }
        }
        .to_owned()
    }
}

/// Something that tokens are given for.
pub(super) struct Credentials {
    pub(super) kind: Kind,
    /// What a server may quote, and nobody is to see.
    pub(super) secrets: Vec<Secret>,
    /// The project that pays, where it is not the token's own.
    pub(super) quota_project: Option<String>,
}

/// How a token is asked for.
pub(super) enum Kind {
    /// A service account signs for itself.
    ServiceAccount {
        email: String,
        key: Arc<dyn SigningKey>,
        key_id: Option<String>,
        token_uri: String,
    },
    /// A person has let this machine in before.
    User {
        client_id: String,
        client_secret: Secret,
        refresh_token: Secret,
        token_uri: String,
    },
    /// The machine has an account itself.
    Metadata {
        host: String,
        /// Nobody said that there is one: then, where the file would be that there was none of.
        instead_of: Option<String>,
    },
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::ServiceAccount { .. } => "service account",
            Kind::User { .. } => "user",
            Kind::Metadata { .. } => "metadata server",
        };
        f.debug_tuple("Credentials").field(&kind).finish()
    }
}

/// A file of credentials: the union of the kinds.
#[derive(Deserialize)]
struct File {
    #[serde(rename = "type")]
    kind: String,
    client_email: Option<String>,
    private_key: Option<String>,
    private_key_id: Option<String>,
    client_id: Option<String>,
    client_secret: Option<String>,
    refresh_token: Option<String>,
    token_uri: Option<String>,
    quota_project_id: Option<String>,
}

/// Reads the environment.
type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

impl Credentials {
    /// The first that there are. For a server on this machine (`is_here`) only those that the environment names: what stands
    /// ready for Google's servers is not for every program that listens here.
    pub(super) fn find(
        variables: Variables<'_>,
        is_here: bool,
    ) -> Result<Option<Self>, CredentialError> {
        let variable = |name: &str| variables(name).filter(|value| !value.trim().is_empty());
        let found = if let Some(text) = variable(LITELLM_VARIABLE) {
            if text.trim_start().starts_with('{') {
                Self::of_text(LITELLM_VARIABLE, text.as_bytes())?
            } else {
                Self::read(Path::new(&text))?
            }
        } else if let Some(path) = variable(FILE_VARIABLE) {
            Self::read(Path::new(&path))?
        } else if let Some(path) = well_known(&variable, is_here).filter(|path| path.is_file()) {
            Self::read(&path)?
        } else if let Some(host) = variable(METADATA_VARIABLE) {
            Self::of_machine(host, None)
        } else if is_here {
            return Ok(None);
        } else {
            let place = well_known(&variable, false).unwrap_or_else(|| WELL_KNOWN_FILE.into());
            let place = place.display().to_string();
            let told = variable(NO_METADATA_VARIABLE);
            if told.is_some_and(|told| told.eq_ignore_ascii_case("true")) {
                return Err(CredentialError::Nowhere(place));
            }
            Self::of_machine(METADATA_HOST.to_owned(), Some(place))
        };
        let quota_project = variable(QUOTA_VARIABLE).or(found.quota_project);
        Ok(Some(Self {
            quota_project,
            ..found
        }))
    }

    const fn of_machine(host: String, instead_of: Option<String>) -> Self {
        Self {
            kind: Kind::Metadata { host, instead_of },
            secrets: Vec::new(),
            quota_project: None,
        }
    }

    fn read(path: &Path) -> Result<Self, CredentialError> {
        let shown = path.display().to_string();
        let text = std::fs::read(path).map_err(|cause| CredentialError::Unreadable {
            path: shown.clone(),
            cause,
        })?;
        Self::of_text(&shown, &text)
    }

    fn of_text(shown: &str, text: &[u8]) -> Result<Self, CredentialError> {
        let malformed = |what: &str| CredentialError::Malformed {
            path: shown.to_owned(),
            what: what.to_owned(),
        };
        // serde's own words could quote the file.
        let file: File = serde_json::from_slice(text)
            .map_err(|error| malformed(&format!("unreadable JSON at line {}", error.line())))?;
        match file.kind.as_str() {
            "service_account" => file.service_account(&malformed),
            "authorized_user" => file.user(&malformed),
            _ => Err(CredentialError::Unsupported {
                path: shown.to_owned(),
                kind: file.kind,
            }),
        }
    }
}

/// The file that gcloud leaves behind.
fn well_known(variable: Variables<'_>, explicit_alone: bool) -> Option<PathBuf> {
    let folder = variable(FOLDER_VARIABLE).map(PathBuf::from);
    let usual = || {
        let home = variable("HOME").filter(|_| !explicit_alone)?;
        Some(Path::new(&home).join(".config/gcloud"))
    };
    Some(folder.or_else(usual)?.join(WELL_KNOWN_FILE))
}

type Malformed<'a> = &'a dyn Fn(&str) -> CredentialError;

impl File {
    /// Who gives tokens: secrets go there, so that only this machine is asked in plain text.
    fn token_uri(&self, malformed: Malformed<'_>) -> Result<String, CredentialError> {
        let uri = self.token_uri.as_deref().unwrap_or(TOKEN_URI);
        let read: http::Uri = uri
            .parse()
            .map_err(|_| malformed("its `token_uri` is no address"))?;
        match read.scheme_str() {
            Some("https") => Ok(uri.to_owned()),
            Some("http") if read.host().is_some_and(is_loopback) => Ok(uri.to_owned()),
            _ => Err(malformed("its `token_uri` is not https")),
        }
    }

    fn service_account(self, malformed: Malformed<'_>) -> Result<Credentials, CredentialError> {
        let token_uri = self.token_uri(malformed)?;
        let email = self.client_email;
        let email = email.ok_or_else(|| malformed("it has no `client_email`"))?;
        let pem = self.private_key;
        let pem = pem.ok_or_else(|| malformed("it has no `private_key`"))?;
        let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).ok();
        let key = key.and_then(|key| rustls::crypto::ring::sign::any_supported_type(&key).ok());
        Ok(Credentials {
            kind: Kind::ServiceAccount {
                email,
                key: key.ok_or_else(|| malformed("its `private_key` is none"))?,
                key_id: self.private_key_id,
                token_uri,
            },
            secrets: vec![Secret::new(pem)],
            quota_project: self.quota_project_id,
        })
    }

    fn user(self, malformed: Malformed<'_>) -> Result<Credentials, CredentialError> {
        let token_uri = self.token_uri(malformed)?;
        let has = |value: Option<String>, what| value.ok_or_else(|| malformed(what));
        let client_secret = Secret::new(has(self.client_secret, "it has no `client_secret`")?);
        let refresh_token = Secret::new(has(self.refresh_token, "it has no `refresh_token`")?);
        Ok(Credentials {
            secrets: vec![client_secret.clone(), refresh_token.clone()],
            kind: Kind::User {
                client_id: has(self.client_id, "it has no `client_id`")?,
                client_secret,
                refresh_token,
                token_uri,
            },
            quota_project: self.quota_project_id,
        })
    }
}
