//! Questions to the hub: redirects are followed by hand, so that the token goes to the hub alone.
//! Nothing is written here.

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Client, Method, Response, StatusCode, Url};

use super::error::HubError;
use super::settings::Settings;
use crate::client::TlsSettings;

/// Redirects that are followed.
const HOPS: usize = 8;
/// Most characters of the hub's own words in a message.
const WORDS: usize = 200;
/// How long a connection may take.
const CONNECT: std::time::Duration = std::time::Duration::from_secs(10);

/// Asks one hub.
pub(super) struct Asker {
    client: Client,
    endpoint: Url,
    /// What is said of it.
    shown: String,
    authorization: Option<HeaderValue>,
}

/// The head of an answer, and the rest to be read.
pub(super) struct Answer {
    response: Response,
    /// What the hub itself said of the file, whoever sends it.
    about: About,
    had_token: bool,
}

/// What a file is.
#[derive(Clone, Debug, Default)]
pub(super) struct About {
    commit: Option<String>,
    /// What names its content.
    pub(super) etag: Option<String>,
    /// Its SHA-256, where the hub told it.
    pub(super) sha256: Option<String>,
    /// Its length in bytes, where the hub told it.
    pub(super) size: Option<u64>,
}

impl Asker {
    pub(super) fn new(settings: &Settings) -> Result<Self, HubError> {
        let shown = shown(&settings.endpoint);
        let wrong = || HubError::Endpoint(shown.clone());
        let endpoint: Url = settings.endpoint.parse().map_err(|_| wrong())?;
        if !matches!(endpoint.scheme(), "http" | "https") || endpoint.host().is_none() {
            return Err(wrong());
        }
        if !endpoint.username().is_empty() || endpoint.password().is_some() {
            return Err(HubError::UserInfo(shown));
        }
        let authorization = settings.token.as_ref().map(|token| {
            let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose()))
                .map_err(|_| HubError::Token)?;
            value.set_sensitive(true);
            Ok(value)
        });
        let tls = TlsSettings::default()
            .config()
            .map_err(|error| HubError::Client(error.into()))?;
        // Proxies are those of the environment.
        let client = Client::builder()
            .user_agent(concat!("llmload/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT.min(settings.patience))
            .read_timeout(settings.patience)
            .tls_backend_preconfigured((*tls).clone())
            .build()
            .map_err(|error| HubError::Client(error.into()))?;
        Ok(Self {
            client,
            endpoint,
            shown,
            authorization: authorization.transpose()?,
        })
    }

    /// The hub as it is named to people: its scheme, its host, its port.
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    /// The file `name` of a repository.
    pub(super) async fn get(
        &self,
        repo: &str,
        revision: &str,
        name: &str,
    ) -> Result<Answer, HubError> {
        self.ask(&Method::GET, repo, revision, name).await
    }

    /// Whether there is such a file.
    pub(super) async fn head(
        &self,
        repo: &str,
        revision: &str,
        name: &str,
    ) -> Result<Answer, HubError> {
        self.ask(&Method::HEAD, repo, revision, name).await
    }

    async fn ask(
        &self,
        method: &Method,
        repo: &str,
        revision: &str,
        name: &str,
    ) -> Result<Answer, HubError> {
        let mut url = self.url(repo, revision, name)?;
        let mut about = About::default();
        let mut had_token = false;
        for _ in 0..=HOPS {
            let mut request = self.client.request(method.clone(), url.clone());
            let own = url.origin() == self.endpoint.origin();
            if let (true, Some(value)) = (own, &self.authorization) {
                request = request.header(AUTHORIZATION, value.clone());
                had_token = true;
            }
            let response = request
                .send()
                .await
                .map_err(|error| self.unreachable(error))?;
            if own {
                about.learn(response.headers());
            }
            if !response.status().is_redirection() {
                return Ok(Answer {
                    response,
                    about,
                    had_token,
                });
            }
            url = next(&url, response.headers())?;
        }
        Err(HubError::Redirect("more often than anybody follows"))
    }

    fn url(&self, repo: &str, revision: &str, name: &str) -> Result<Url, HubError> {
        let base = self.endpoint.as_str().trim_end_matches('/');
        // A revision is one part of the path, whatever it holds.
        let revision = revision.replace('/', "%2F");
        let url = format!("{base}/{repo}/resolve/{revision}/{name}");
        let parsed = url.parse();
        parsed.map_err(|_| HubError::Endpoint(self.shown.clone()))
    }

    fn unreachable(&self, error: reqwest::Error) -> HubError {
        HubError::Unreachable {
            endpoint: self.shown.clone(),
            // Addresses of other hosts are signed: who has them has the file.
            source: error.without_url(),
        }
    }
}

/// What of an address is no secret: its scheme, its host, its port.
fn shown(address: &str) -> String {
    let parsed = address.parse::<Url>().map(|url| url.origin());
    match parsed {
        Ok(origin) if origin.is_tuple() => origin.ascii_serialization(),
        // What stands before an `@` was meant for a user and a password.
        _ => address.rsplit('@').next().unwrap_or_default().to_owned(),
    }
}

/// Where a redirect leads.
fn next(from: &Url, headers: &HeaderMap) -> Result<Url, HubError> {
    let to = headers.get(LOCATION).and_then(|value| value.to_str().ok());
    let to = to.and_then(|to| from.join(to).ok());
    let to = to.ok_or(HubError::Redirect("nowhere"))?;
    let safe = to.scheme() == "https" || from.scheme() == "http" && to.scheme() == "http";
    if safe {
        Ok(to)
    } else {
        Err(HubError::Redirect("to an address without encryption"))
    }
}

impl About {
    /// The first word counts: a later answer is about where the file lies.
    fn learn(&mut self, headers: &HeaderMap) {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let Some(commit) = text("x-repo-commit").filter(|_| self.commit.is_none()) else {
            return;
        };
        self.commit = Some(commit.to_owned());
        let linked = text("x-linked-etag").map(bare);
        self.sha256 = linked.filter(|it| is_hex(it, 64)).map(str::to_owned);
        let etag = linked.or_else(|| text("etag").map(bare));
        self.etag = etag.filter(|it| is_name(it)).map(str::to_owned);
        self.size = text("x-linked-size").and_then(|size| size.parse().ok());
    }
}

/// An entity tag without quotes, and without the mark of a weak one.
fn bare(etag: &str) -> &str {
    etag.trim_start_matches("W/").trim_matches('"')
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Whether a file can be called this.
fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    (1..=128).contains(&text.len()) && text.bytes().all(allowed)
}

impl Answer {
    pub(super) fn status(&self) -> StatusCode {
        self.response.status()
    }

    pub(super) const fn about(&self) -> &About {
        &self.about
    }

    /// Which commit the file is of.
    pub(super) fn commit(&self) -> Result<String, HubError> {
        let commit = self.about.commit.as_deref().filter(|it| is_hex(it, 40));
        commit
            .map(str::to_owned)
            .ok_or(HubError::NoHub("X-Repo-Commit"))
    }

    /// Whether the question had a token.
    pub(super) const fn had_token(&self) -> bool {
        self.had_token
    }

    /// The hub's name for what is wrong.
    pub(super) fn error_code(&self) -> Option<&str> {
        self.field("x-error-code")
    }

    /// The hub's words for what is wrong, cut.
    pub(super) fn error_words(&self) -> String {
        let words = self.field("x-error-message").unwrap_or("no more words");
        words.chars().take(WORDS).collect()
    }

    /// Whether it is the token that is wrong.
    pub(super) fn dislikes_token(&self) -> bool {
        let words = self.field("x-error-message").unwrap_or_default();
        words.contains("credentials")
    }

    fn field(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }

    /// The next piece of the body.
    pub(super) async fn chunk(&mut self) -> Result<Option<bytes::Bytes>, HubError> {
        let host = self.response.url().host_str().unwrap_or_default();
        let endpoint = host.to_owned();
        let chunk = self.response.chunk().await;
        chunk.map_err(|error| HubError::Unreachable {
            endpoint,
            source: error.without_url(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn led(from: &str, location: &str) -> Result<String, String> {
        let headers = HeaderMap::from_iter([(LOCATION, location.parse().unwrap())]);
        let to = next(&from.parse().unwrap(), &headers);
        to.map(String::from).map_err(|error| error.to_string())
    }

    #[test]
    fn a_redirect_never_leaves_encryption() {
        for to in [
            "http://hub/file",
            "http://elsewhere/file",
            "ftp://hub/file",
            "file:///etc",
        ] {
            let error = led("https://hub/old", to).unwrap_err();
            assert!(error.contains("without encryption"), "{to}: {error}");
        }
        assert!(led("http://hub/old", "ftp://hub/file").is_err());
        for (from, to, place) in [
            ("https://hub/old", "/new", "https://hub/new"),
            ("https://hub/old", "https://cdn/file", "https://cdn/file"),
            ("http://hub/old", "https://cdn/file", "https://cdn/file"),
            // A hub in clear, as on this machine, has no encryption to lose.
            ("http://hub/old", "http://cdn/file", "http://cdn/file"),
        ] {
            assert_eq!(led(from, to).as_deref(), Ok(place));
        }
        let nowhere = next(&"https://hub/old".parse().unwrap(), &HeaderMap::new());
        assert!(nowhere.unwrap_err().to_string().contains("nowhere"));
    }
}
