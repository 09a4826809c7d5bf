//! What the environment says of the hub: where it is, who asks, and whether it may be asked at all. The variables are those of
//! the hub's own client.

use std::path::PathBuf;
use std::time::Duration;

use super::error::HubError;
use crate::domain::Secret;
use crate::workload::load::HubPaths;

const ENDPOINT: &str = "https://huggingface.co";
/// Either keeps from asking.
const OFFLINE: [&str; 2] = ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"];
/// How long the hub may be silent, unless `HF_HUB_DOWNLOAD_TIMEOUT` says otherwise.
const PATIENCE: Duration = Duration::from_secs(30);

/// How the hub is asked.
#[derive(Debug)]
pub(super) struct Settings {
    /// Without a slash at its end.
    pub(super) endpoint: String,
    /// Who asks.
    pub(super) token: Option<Secret>,
    /// The cache.
    pub(super) folder: PathBuf,
    /// How long it may be silent.
    pub(super) patience: Duration,
}

impl Settings {
    /// What `lookup` and the token's file say.
    pub(super) fn new(
        lookup: &dyn Fn(&str) -> Option<String>,
        paths: &HubPaths,
    ) -> Result<Self, HubError> {
        let set = |name: &str| lookup(name).filter(|value| !value.is_empty());
        let on = |name: &&str| set(name).is_some_and(|value| is_yes(&value));
        if let Some(variable) = OFFLINE.into_iter().find(|name| on(name)) {
            return Err(HubError::Offline { variable });
        }
        let folder = paths.folder().ok_or(HubError::NoFolder)?.to_owned();
        let endpoint = set("HF_ENDPOINT").unwrap_or_else(|| ENDPOINT.to_owned());
        let patience = set("HF_HUB_DOWNLOAD_TIMEOUT").and_then(|text| text.trim().parse().ok());
        Ok(Self {
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            token: if on(&"HF_HUB_DISABLE_IMPLICIT_TOKEN") {
                None
            } else {
                token(&set)
            },
            folder,
            patience: patience.map_or(PATIENCE, Duration::from_secs),
        })
    }
}

fn is_yes(value: &str) -> bool {
    let yes = ["1", "on", "yes", "true"];
    yes.contains(&value.to_ascii_lowercase().as_str())
}

/// `HF_TOKEN`, or what `hf auth login` has left.
fn token(set: &dyn Fn(&str) -> Option<String>) -> Option<Secret> {
    let given = set("HF_TOKEN").or_else(|| set("HUGGING_FACE_HUB_TOKEN"));
    let token = given.or_else(|| std::fs::read_to_string(token_file(set)?).ok())?;
    let token = token.trim();
    (!token.is_empty()).then(|| Secret::new(token))
}

fn token_file(set: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    if let Some(path) = set("HF_TOKEN_PATH") {
        return Some(path.into());
    }
    let places = [
        ("HF_HOME", "token"),
        ("XDG_CACHE_HOME", "huggingface/token"),
        ("HOME", ".cache/huggingface/token"),
    ];
    let (root, below) = places
        .into_iter()
        .find_map(|(variable, below)| Some((set(variable)?, below)))?;
    Some(PathBuf::from(root).join(below))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Result<Settings, HubError> {
        let lookup = |name: &str| {
            let found = pairs.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Settings::new(&lookup, &HubPaths::new(&lookup))
    }

    fn token(pairs: &[(&str, &str)]) -> Option<String> {
        let token = settings(pairs).unwrap().token;
        token.map(|token| token.expose().to_owned())
    }

    #[test]
    fn the_environment_says_where_the_hub_is_and_whether_it_may_be_asked() {
        let plain = settings(&[("HOME", "/h")]).unwrap();
        assert_eq!(plain.endpoint, "https://huggingface.co");
        assert_eq!(plain.folder, PathBuf::from("/h/.cache/huggingface/hub"));
        assert_eq!(plain.patience, Duration::from_secs(30));
        let other = [
            ("HOME", "/h"),
            ("HF_ENDPOINT", "http://mirror/"),
            ("HF_HUB_DOWNLOAD_TIMEOUT", "3"),
        ];
        let other = settings(&other).unwrap();
        assert_eq!(
            (other.endpoint.as_str(), other.patience.as_secs()),
            ("http://mirror", 3)
        );
        for (variable, value) in [
            ("HF_HUB_OFFLINE", "1"),
            ("TRANSFORMERS_OFFLINE", "True"),
            ("HF_HUB_OFFLINE", "yes"),
        ] {
            let error = settings(&[("HOME", "/h"), (variable, value)]).unwrap_err();
            assert!(matches!(error, HubError::Offline { variable: named } if named == variable));
        }
        assert!(settings(&[("HOME", "/h"), ("HF_HUB_OFFLINE", "0")]).is_ok());
        assert!(matches!(settings(&[]).unwrap_err(), HubError::NoFolder));
    }

    #[test]
    fn a_token_comes_from_the_environment_or_from_its_file() {
        let place = tempfile::tempdir().unwrap();
        let home = place.path().to_str().unwrap();
        assert_eq!(token(&[("HF_HOME", home)]), None);
        std::fs::write(place.path().join("token"), "hf_of_the_file\n").unwrap();
        assert_eq!(token(&[("HF_HOME", home)]).unwrap(), "hf_of_the_file");
        let both = [("HF_HOME", home), ("HF_TOKEN", "hf_given")];
        assert_eq!(token(&both).unwrap(), "hf_given");
        let named = place.path().join("other");
        std::fs::write(&named, "hf_of_another").unwrap();
        let named = [
            ("HF_HOME", home),
            ("HF_TOKEN_PATH", named.to_str().unwrap()),
        ];
        assert_eq!(token(&named).unwrap(), "hf_of_another");
        let hidden = [("HF_HOME", home), ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")];
        assert_eq!(token(&hidden), None);
    }
}
