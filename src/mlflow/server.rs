//! Which tracking server, and who asks: read from MLflow's own variables. It connects to nothing.

use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use reqwest::Url;

use crate::domain::{Secret, percent_decoded};

/// The address.
const URI: &str = "MLFLOW_TRACKING_URI";
const USERNAME: &str = "MLFLOW_TRACKING_USERNAME";
const PASSWORD: &str = "MLFLOW_TRACKING_PASSWORD";
const TOKEN: &str = "MLFLOW_TRACKING_TOKEN";
const INSECURE_TLS: &str = "MLFLOW_TRACKING_INSECURE_TLS";
const CERT_PATH: &str = "MLFLOW_TRACKING_SERVER_CERT_PATH";

/// A tracking server and what is needed to be let in.
#[derive(Clone, Debug)]
pub struct Server {
    /// Without user and password.
    pub(super) url: Url,
    /// Marked as sensitive.
    pub(super) authorization: Option<HeaderValue>,
    /// What no message may show.
    pub(super) secrets: Vec<Secret>,
    /// Trust any certificate.
    pub insecure_tls: bool,
    /// PEM of authorities to trust as well.
    pub ca_file: Option<PathBuf>,
}

/// Why the variables name no server. No message shows a value that may hold a password.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServerError {
    /// No address.
    #[error("`{URI}` is not set, so there is no server for an ML Repo")]
    Missing,
    /// Not an address.
    #[error("`{URI}` is not a URL")]
    NoUrl,
    /// An address that is not spoken to by HTTP.
    #[error("`{URI}` has the scheme `{0}`, and only http:// and https:// are spoken")]
    Scheme(String),
    /// Neither true nor false.
    #[error("`{INSECURE_TLS}` is `{0}`, neither true nor false")]
    NoTruth(String),
    /// Trust anybody, and these authorities alone.
    #[error("`{INSECURE_TLS}` and `{CERT_PATH}` contradict each other")]
    Contradiction,
    /// One half of a pair.
    #[error("`{0}` is set and `{1}` is not")]
    Half(&'static str, &'static str),
    /// Characters that no header can carry.
    #[error("`{TOKEN}` has characters that a header cannot carry")]
    OddToken,
}

impl ServerError {
    /// What to do about it.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Missing | Self::NoUrl | Self::Scheme(_) => {
                "MLFLOW_TRACKING_URI=http://host:port names the server; without --ml-repo none is needed"
            }
            Self::NoTruth(_) => "true, false, 1 or 0",
            Self::Contradiction => "unset one of them",
            Self::Half(..) => "set both or none",
            Self::OddToken => "is there a line end in it?",
        }
    }
}

impl Server {
    /// The server that MLflow's variables name. An empty variable counts as absent. A user in the address comes before
    /// user and password, and these come before a token, as with MLflow's own client.
    ///
    /// # Errors
    /// There is no address, or variables that contradict each other.
    pub fn from_variables(variable: &dyn Fn(&str) -> Option<String>) -> Result<Self, ServerError> {
        let value = |name: &str| {
            let text = variable(name)?;
            (!text.trim().is_empty()).then(|| text.trim().to_owned())
        };
        let mut url =
            Url::parse(&value(URI).ok_or(ServerError::Missing)?).map_err(|_| ServerError::NoUrl)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(ServerError::Scheme(url.scheme().to_owned()));
        }
        let identity = match take_user(&mut url) {
            Some(identity) => Some(identity),
            None => identity(&value)?,
        };
        let insecure_tls = truth(value(INSECURE_TLS))?;
        let ca_file = value(CERT_PATH).map(PathBuf::from);
        if insecure_tls && ca_file.is_some() {
            return Err(ServerError::Contradiction);
        }
        url.set_query(None);
        url.set_fragment(None);
        let (authorization, secrets) = match identity {
            Some(identity) => identity.header()?,
            None => (None, Vec::new()),
        };
        Ok(Self {
            url,
            authorization,
            secrets,
            insecure_tls,
            ca_file,
        })
    }

    /// The address, without user and password.
    pub fn address(&self) -> &str {
        self.url.as_str().trim_end_matches('/')
    }

    /// Where a person sees the run.
    pub(super) fn page(&self, experiment_id: &str, run_id: &str) -> String {
        let address = self.address();
        format!("{address}/#/experiments/{experiment_id}/runs/{run_id}")
    }

    /// Whether the server says of itself that it is this machine.
    pub(super) fn is_here(&self) -> bool {
        let host = self.url.host_str().unwrap_or_default();
        let address = host.trim_matches(['[', ']']).parse();
        host == "localhost" || address.is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
    }

    /// `text` without secrets: servers like to quote a wrong key.
    pub(super) fn masked(&self, text: &str) -> String {
        self.secrets
            .iter()
            .fold(text.to_owned(), |text, secret| secret.masked_in(&text))
    }
}

/// Who asks.
enum Identity {
    Basic(String, String),
    Bearer(String),
}

impl Identity {
    fn header(self) -> Result<(Option<HeaderValue>, Vec<Secret>), ServerError> {
        let (text, secrets) = match self {
            Self::Basic(user, password) => {
                let pair = STANDARD.encode(format!("{user}:{password}"));
                (format!("Basic {pair}"), vec![pair, password])
            }
            Self::Bearer(token) => (format!("Bearer {token}"), vec![token]),
        };
        let mut header = HeaderValue::from_str(&text).map_err(|_| ServerError::OddToken)?;
        header.set_sensitive(true);
        Ok((Some(header), secrets.into_iter().map(Secret::new).collect()))
    }
}

fn identity(value: &dyn Fn(&str) -> Option<String>) -> Result<Option<Identity>, ServerError> {
    match (value(USERNAME), value(PASSWORD), value(TOKEN)) {
        (Some(user), Some(password), _) => Ok(Some(Identity::Basic(user, password))),
        (_, _, Some(token)) => Ok(Some(Identity::Bearer(token))),
        (Some(_), None, None) => Err(ServerError::Half(USERNAME, PASSWORD)),
        (None, Some(_), None) => Err(ServerError::Half(PASSWORD, USERNAME)),
        (None, None, None) => Ok(None),
    }
}

/// Takes user and password out of an address.
fn take_user(url: &mut Url) -> Option<Identity> {
    let user = percent_decoded(url.username());
    let password = percent_decoded(url.password().unwrap_or_default());
    // Both fail for addresses without a host alone, and http ones have one.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    (!user.is_empty() || !password.is_empty()).then_some(Identity::Basic(user, password))
}

fn truth(value: Option<String>) -> Result<bool, ServerError> {
    let Some(text) = value else { return Ok(false) };
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(ServerError::NoTruth(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(pairs: &[(&str, &str)]) -> Result<Server, ServerError> {
        Server::from_variables(&|name| {
            let found = pairs.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    fn authorization(pairs: &[(&str, &str)]) -> Option<String> {
        let header = server(pairs).unwrap().authorization?;
        Some(header.to_str().unwrap().to_owned())
    }

    #[test]
    fn the_user_of_the_address_comes_first_then_the_pair_then_the_token() {
        let uri = (URI, "http://h:5000");
        let (user, password, token) = ((USERNAME, "ann"), (PASSWORD, "p"), (TOKEN, "t-1"));
        assert_eq!(authorization(&[uri]), None);
        assert_eq!(authorization(&[uri, token]).unwrap(), "Bearer t-1");
        // ann:p
        let pair = "Basic YW5uOnA=";
        assert_eq!(authorization(&[uri, token, user, password]).unwrap(), pair);
        let inside = (URI, "http://bob:p%40ss@h:5000/tracking/");
        let found = server(&[inside, token, user, password]).unwrap();
        assert_eq!(found.address(), "http://h:5000/tracking");
        // bob:p@ss
        assert_eq!(found.authorization.unwrap(), "Basic Ym9iOnBAc3M=");
    }

    #[test]
    fn nothing_shows_a_secret() {
        let found = server(&[(URI, "https://bob:geheim@h")]).unwrap();
        let shown = format!("{found:?}");
        assert!(
            !shown.contains("geheim") && !shown.contains("Ym9i"),
            "{shown}"
        );
        let quoted = found.masked("no `geheim`, no Basic Ym9iOmdlaGVpbQ==");
        assert_eq!(quoted, "no `***`, no Basic ***");
        assert_eq!(found.page("7", "ab"), "https://h/#/experiments/7/runs/ab");
    }

    #[test]
    fn what_names_no_server_is_refused() {
        let refused = |pairs: &[(&str, &str)]| server(pairs).unwrap_err();
        let uri = (URI, "http://h");
        assert_eq!(refused(&[]), ServerError::Missing);
        assert_eq!(refused(&[(URI, " ")]), ServerError::Missing);
        assert_eq!(refused(&[(URI, "h")]), ServerError::NoUrl);
        let file = refused(&[(URI, "sqlite:///x.db")]);
        assert_eq!(file, ServerError::Scheme("sqlite".to_owned()));
        let half = refused(&[uri, (USERNAME, "ann")]);
        assert_eq!(half, ServerError::Half(USERNAME, PASSWORD));
        let maybe = refused(&[uri, (INSECURE_TLS, "maybe")]);
        assert_eq!(maybe, ServerError::NoTruth("maybe".to_owned()));
        let both = refused(&[uri, (INSECURE_TLS, "TRUE"), (CERT_PATH, "ca.pem")]);
        assert_eq!(both, ServerError::Contradiction);
        assert_eq!(refused(&[uri, (TOKEN, "a\nb")]), ServerError::OddToken);
        for error in [file, half, maybe, both] {
            assert!(!error.hint().is_empty() && !error.to_string().ends_with('.'));
        }
    }

    #[test]
    fn this_machine_is_known_by_its_loopback_names() {
        for (uri, here) in [
            ("http://127.0.0.1:5000", true),
            ("http://[::1]:5000", true),
            ("https://localhost", true),
            ("http://10.0.0.1", false),
            ("http://127.0.0.1.example.com", false),
        ] {
            assert_eq!(server(&[(URI, uri)]).unwrap().is_here(), here, "{uri}");
        }
    }
}
