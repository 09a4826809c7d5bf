//! Where a run's files go, by the address that the server gives for them. It sends and writes nothing.

use std::path::PathBuf;

use reqwest::Url;

use super::body::Made;
use super::server::Server;
use crate::domain::percent_decoded;

/// Where the server takes files that it stores itself.
const PROXIED: &str = "/api/2.0/mlflow-artifacts/artifacts";

/// Where files go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Each is sent by PUT to an address below this one.
    Put {
        folder: Url,
        /// Whether the server's own credentials go with it.
        credentials: bool,
    },
    /// A folder of the server's machine.
    Folder {
        path: PathBuf,
        /// Whether it may be made: the server is on this machine.
        make: bool,
    },
    /// A store that only a client of its own can reach, by its scheme.
    Other(String),
}

impl Place {
    /// The place that `made` names.
    pub(super) fn of(made: &Made, server: &Server) -> Self {
        let uri = made.artifact_uri.as_str();
        if uri.starts_with('/') {
            return folder(uri, made, server);
        }
        let Ok(url) = Url::parse(uri) else {
            return Self::Other(uri.to_owned());
        };
        match url.scheme() {
            "mlflow-artifacts" => proxied(&url, server),
            "http" | "https" => Self::Put {
                credentials: is_as_safe(&url, server),
                folder: url,
            },
            "file" if url.host_str().is_none_or(|host| host == "localhost") => {
                folder(&percent_decoded(url.path()), made, server)
            }
            scheme => Self::Other(format!("{scheme}:")),
        }
    }
}

/// Through the tracking server, or another server of the same kind that the address names.
fn proxied(uri: &Url, server: &Server) -> Place {
    let mut folder = server.url.clone();
    let mut base = server.url.path().trim_end_matches('/').to_owned();
    if let Some(host) = uri.host_str().filter(|host| !host.is_empty()) {
        // Both fail for addresses that no HTTP server can have; then the tracking server is asked.
        let moved = folder.set_host(Some(host)).is_ok();
        let moved = moved && folder.set_port(uri.port()).is_ok();
        if moved {
            base.clear();
        }
    }
    folder.set_path(&format!("{base}{PROXIED}{}", uri.path()));
    Place::Put {
        folder,
        credentials: true,
    }
}

/// Credentials that came for an encrypted connection do not go over a plain one.
fn is_as_safe(url: &Url, server: &Server) -> bool {
    url.scheme() == "https" || server.url.scheme() == "http"
}

/// A folder is this run's own, or nothing is written: the server names it, and may name what it likes.
fn folder(path: &str, made: &Made, server: &Server) -> Place {
    let path = PathBuf::from(path);
    let parts: Vec<_> = path
        .components()
        .map(std::path::Component::as_os_str)
        .collect();
    let own = parts.iter().any(|part| *part == made.id.as_str());
    if !own || parts.iter().any(|part| *part == "..") {
        return Place::Other("file:".to_owned());
    }
    Place::Folder {
        path,
        make: server.is_here(),
    }
}

/// The address of one file.
pub(super) fn file_url(folder: &Url, name: &str) -> Url {
    let mut url = folder.clone();
    // It fails for addresses without a path alone, and these have one.
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().push(name);
    }
    url
}

/// The media type, by the ending.
pub(super) fn media_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("json") => "application/json",
        Some("html") => "text/html",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("csv") => "text/csv",
        Some("md" | "txt") => "text/plain",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(tracking: &str, artifact_uri: &str) -> Place {
        let variable = |name: &str| (name == "MLFLOW_TRACKING_URI").then(|| tracking.to_owned());
        let server = Server::from_variables(&variable).unwrap();
        let made = Made {
            id: "r1".to_owned(),
            artifact_uri: artifact_uri.to_owned(),
        };
        Place::of(&made, &server)
    }

    fn put(url: &str, credentials: bool) -> Place {
        Place::Put {
            folder: Url::parse(url).unwrap(),
            credentials,
        }
    }

    #[test]
    fn files_go_through_the_tracking_server_or_where_the_address_says() {
        let here = "http://h:5000/tracking/";
        let api = "api/2.0/mlflow-artifacts/artifacts";
        assert_eq!(
            place(here, "mlflow-artifacts:/3/r1/artifacts"),
            put(
                &format!("http://h:5000/tracking/{api}/3/r1/artifacts"),
                true
            )
        );
        assert_eq!(
            place(here, "mlflow-artifacts://other:81/3/r1/artifacts"),
            put(&format!("http://other:81/{api}/3/r1/artifacts"), true)
        );
        let store = "https://store/a/r1";
        assert_eq!(place(here, store), put(store, true));
        let plain = "http://store/a/r1";
        assert_eq!(place("https://h", plain), put(plain, false));
        assert_eq!(place("http://h", plain), put(plain, true));
    }

    #[test]
    fn a_folder_must_be_the_runs_own() {
        let folder = |path: &str, make| Place::Folder {
            path: PathBuf::from(path),
            make,
        };
        let local = "http://127.0.0.1:5000";
        assert_eq!(
            place(local, "/m/3/r1/artifacts"),
            folder("/m/3/r1/artifacts", true)
        );
        assert_eq!(place(local, "file:///a%20b/r1"), folder("/a b/r1", true));
        assert_eq!(
            place("http://far", "/m/3/r1/artifacts"),
            folder("/m/3/r1/artifacts", false)
        );
        let none = Place::Other("file:".to_owned());
        assert_eq!(place(local, "/etc"), none);
        assert_eq!(place(local, "/m/r1/../../etc"), none);
        assert_eq!(place(local, "file://elsewhere/m/r1"), none);
    }

    #[test]
    fn other_stores_are_named_by_their_scheme() {
        for (uri, scheme) in [
            ("s3://bucket/3/r1", "s3:"),
            ("gs://b/r1", "gs:"),
            ("./mlruns/r1", "./mlruns/r1"),
        ] {
            assert_eq!(place("http://h", uri), Place::Other(scheme.to_owned()));
        }
    }

    #[test]
    fn file_names_are_escaped_and_typed() {
        let folder = Url::parse("http://h/a/r1/artifacts").unwrap();
        let url = file_url(&folder, "50% of x?.json");
        assert_eq!(
            url.as_str(),
            "http://h/a/r1/artifacts/50%25%20of%20x%3F.json"
        );
        assert_eq!(media_type("a.b.svg"), "image/svg+xml");
        assert_eq!(media_type("svg"), "application/octet-stream");
    }
}
