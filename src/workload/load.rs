//! The place of the room that reads files: tokenizers, the local hub cache, prompts; data sets are opened in `data/file.rs`.
//! It reads no environment (that comes in as [`HubPaths`]) and never goes to the network: what is missing somebody else fetches.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

pub use super::data::file::{DataWish, Pinned, data, data_format, pin_data};
use super::{
    BUILT_IN, DataError, ForcedError, Format, PromptSource, RowError, Tokenizer, TokenizerError,
    TokenizerFiles, forced, rows,
};

const TOKENIZER: &str = "tokenizer.json";
const CONFIG: &str = "tokenizer_config.json";
const TEMPLATE: &str = "chat_template.jinja";

/// Where the local hub cache is: the folder that holds `models--org--name`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HubPaths {
    hub: Option<PathBuf>,
}

impl HubPaths {
    /// The folder, if any is known.
    pub fn folder(&self) -> Option<&Path> {
        self.hub.as_deref()
    }

    /// The first of `HF_HUB_CACHE`, `HF_HOME`/hub, `XDG_CACHE_HOME`/huggingface/hub and
    /// `HOME`/.cache/huggingface/hub whose variable is set (empty counts as not set).
    pub fn new(lookup: &dyn Fn(&str) -> Option<String>) -> Self {
        let places = [
            ("HF_HUB_CACHE", ""),
            ("HF_HOME", "hub"),
            ("XDG_CACHE_HOME", "huggingface/hub"),
            ("HOME", ".cache/huggingface/hub"),
        ];
        let hub = places.iter().find_map(|(variable, below)| {
            let root = lookup(variable).filter(|value| !value.is_empty())?;
            // Joining nothing would leave a trailing slash in messages.
            Some(match *below {
                "" => PathBuf::from(root),
                below => Path::new(&root).join(below),
            })
        });
        Self { hub }
    }
}

/// The name of a model's files at the hub: `org/name` or `name`, and `@revision` behind it where it is not `main`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HubId<'a> {
    /// `org/name`.
    pub repo: &'a str,
    /// A branch, a tag or a commit.
    pub revision: &'a str,
}

impl<'a> HubId<'a> {
    /// Reads `name`; `None` for what can only be a path.
    pub fn read(name: &'a str) -> Option<Self> {
        let (repo, revision) = name.split_once('@').unwrap_or((name, "main"));
        let id = Self { repo, revision };
        (is_repo(repo) && is_revision(revision)).then_some(id)
    }

    /// Its folder in the hub cache.
    pub fn folder(self, hub: &Path) -> PathBuf {
        hub.join(format!("models--{}", self.repo.replace('/', "--")))
    }

    /// Whether the revision is a commit, which never changes.
    pub fn is_commit(self) -> bool {
        self.revision.len() == 40 && self.revision.bytes().all(|byte| byte.is_ascii_hexdigit())
    }
}

/// `org/name` or `name`, without anything that only a path has.
fn is_repo(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    !name.is_empty()
        && name.chars().all(allowed)
        && name.matches('/').count() <= 1
        && !name.starts_with(['/', '.'])
        && !name.ends_with('/')
        && !name.contains("..")
        && Path::new(name)
            .extension()
            .is_none_or(|ending| ending != "json")
}

fn is_revision(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    let whole = !name.is_empty() && !name.starts_with(['/', '.']) && !name.ends_with('/');
    whole && name.chars().all(allowed) && !name.contains("..")
}

/// Why something could not be read.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A file that cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There is no such tokenizer on this machine.
    #[error("no tokenizer `{name}`: looked for {}", listed(looked))]
    NoTokenizer {
        /// As it was asked for.
        name: String,
        /// Where it could have been.
        looked: Vec<PathBuf>,
    },
    /// A defect of this program.
    #[error("the built-in tokenizer is not usable")]
    BuiltIn(#[source] TokenizerError),
    /// A file that is no tokenizer.
    #[error("`{}` is not usable", path.display())]
    Tokenizer {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: TokenizerError,
    },
    /// A data set with a bad line.
    #[error("cannot use the data set `{}`", path.display())]
    Rows {
        /// Which.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: RowError,
    },
    /// A file of texts to force with a bad line.
    #[error("cannot use the texts of `{}`", path.display())]
    Forced {
        /// Which.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: ForcedError,
    },
    /// A data set that cannot be used.
    #[error("cannot use the data set `{}`", path.display())]
    Data {
        /// Which.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: Box<DataError>,
    },
    /// The data set of a plan is not on this machine.
    #[error(
        "no data set `{name}` of {bytes} bytes here: looked for {}",
        listed(looked)
    )]
    NoData {
        /// As it was asked for.
        name: String,
        /// How long it is.
        bytes: u64,
        /// Where it could have been.
        looked: Vec<PathBuf>,
    },
    /// The data set here is not the plan's.
    #[error("the data set `{}` is another one here: {found}; the plan has {wanted}", path.display())]
    DataDiffers {
        /// Which.
        path: PathBuf,
        /// As planned.
        wanted: String,
        /// As found.
        found: String,
    },
    /// A column was named, and there are none.
    #[error("a data set of format `{}` has no columns", format.name())]
    NoColumn {
        /// How it is written.
        format: Format,
    },
}

impl LoadError {
    /// What to do about it, where there is something.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoTokenizer { name, .. } if HubId::read(name).is_some() => Some(format!(
                "run `hf download {name} {TOKENIZER} {CONFIG}`, or give the path of a {TOKENIZER}; {BUILT_IN} is always there"
            )),
            Self::NoTokenizer { .. } | Self::Tokenizer { .. } => Some(format!(
                "--tokenizer takes a {TOKENIZER}, a folder that holds one, or a hub id like org/name"
            )),
            Self::Rows { .. } => Some("each line is one JSON object".to_owned()),
            Self::Data { source, .. } => source.hint().map(str::to_owned),
            Self::NoData { name, .. } => Some(format!(
                "a data set of more than 1 MiB does not travel: put `{name}` at the same path on every worker, or into its working directory"
            )),
            Self::DataDiffers { path, .. } => Some(format!(
                "put the master's `{}` on every machine",
                path.display()
            )),
            Self::NoColumn { .. } => Some("leave --dataset-column out".to_owned()),
            Self::Forced { .. } => {
                Some("each line is a text, or a JSON object with a `text`".to_owned())
            }
            Self::Read { .. } | Self::BuiltIn(_) => None,
        }
    }
}

fn listed(paths: &[PathBuf]) -> String {
    let paths: Vec<_> = paths.iter().map(|p| format!("`{}`", p.display())).collect();
    paths.join(", ")
}

/// The tokenizer `name`: the built-in one, a `tokenizer.json`, a folder that holds one, or a hub id found in the local hub
/// cache. A chat template is taken from the files beside it.
pub fn tokenizer(name: &str, hub: &HubPaths) -> Result<Tokenizer, LoadError> {
    if name == BUILT_IN {
        return Tokenizer::built_in().map_err(LoadError::BuiltIn);
    }
    let path = find(name, hub)?;
    let bytes = fs::read(&path).map_err(|source| LoadError::Read {
        path: path.clone(),
        source,
    })?;
    let config = read_beside(&path, CONFIG)?;
    let template = read_beside(&path, TEMPLATE)?;
    let files = TokenizerFiles {
        tokenizer: &bytes,
        config: config.as_deref(),
        template: template.as_deref(),
    };
    Tokenizer::new(name, files).map_err(|source| LoadError::Tokenizer { path, source })
}

/// The longest prompt of the model whose tokenizer this is, in tokens: `max_position_embeddings` of the `config.json` beside it.
pub fn model_length(name: &str, hub: &HubPaths) -> Option<u32> {
    let path = find(name, hub).ok()?;
    let text = read_beside(&path, "config.json").ok()??;
    let config: serde_json::Value = serde_json::from_str(&text).ok()?;
    let length = [
        "/max_position_embeddings",
        "/text_config/max_position_embeddings",
    ]
    .iter()
    .find_map(|pointer| config.pointer(pointer)?.as_u64());
    u32::try_from(length?).ok()
}

fn find(name: &str, hub: &HubPaths) -> Result<PathBuf, LoadError> {
    let path = Path::new(name);
    if path.is_file() {
        return Ok(path.to_owned());
    }
    let mut looked = vec![path.join(TOKENIZER)];
    if let (Some(id), Some(root)) = (HubId::read(name), &hub.hub) {
        looked.push(in_hub(&id.folder(root), id)?);
    }
    match looked.iter().find(|path| path.is_file()) {
        Some(found) => Ok(found.clone()),
        None => Err(LoadError::NoTokenizer {
            name: name.to_owned(),
            looked,
        }),
    }
}

/// Where the hub cache keeps the tokenizer of the model in `folder`: in the snapshot of a commit, or of what a reference names.
fn in_hub(folder: &Path, id: HubId<'_>) -> Result<PathBuf, LoadError> {
    let snapshot = |commit: &str| folder.join("snapshots").join(commit).join(TOKENIZER);
    if id.is_commit() {
        return Ok(snapshot(id.revision));
    }
    let reference = folder.join("refs").join(id.revision);
    match fs::read_to_string(&reference) {
        Ok(commit) => Ok(snapshot(commit.trim())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(reference),
        Err(source) => Err(LoadError::Read {
            path: reference,
            source,
        }),
    }
}

/// The text of the file `name` in the folder of `path`; `None` if there is no such file.
fn read_beside(path: &Path, name: &str) -> Result<Option<String>, LoadError> {
    let path = path.with_file_name(name);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(LoadError::Read { path, source }),
    }
}

/// The value of `--prompt-text`: a text as it is, `@file` for a file's content, `@file.jsonl` for its rows.
pub fn prompt_text(value: &str) -> Result<PromptSource, LoadError> {
    let Some(path) = value.strip_prefix('@').map(Path::new) else {
        return Ok(PromptSource::Text(value.to_owned()));
    };
    let text = fs::read_to_string(path).map_err(|source| LoadError::Read {
        path: path.to_owned(),
        source,
    })?;
    if path
        .extension()
        .is_none_or(|extension| extension != "jsonl")
    {
        return Ok(PromptSource::Text(text));
    }
    rows::parse(&text)
        .map(PromptSource::Rows)
        .map_err(|source| LoadError::Rows {
            path: path.to_owned(),
            source,
        })
}

/// The texts of a file that the model is made to say, in their order: its lines, or the `text` of its JSON lines.
pub fn forced(path: &Path) -> Result<Vec<String>, LoadError> {
    let text = fs::read_to_string(path).map_err(|source| LoadError::Read {
        path: path.to_owned(),
        source,
    })?;
    let json = path.extension().is_some_and(|ending| ending == "jsonl");
    forced::parse(&text, json).map_err(|source| LoadError::Forced {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::Workload;

    const TINY: &str = r#"{"version":"1.0","truncation":null,"padding":null,"added_tokens":[],
        "normalizer":null,"pre_tokenizer":{"type":"Whitespace"},"post_processor":null,"decoder":null,
        "model":{"type":"WordLevel","vocab":{"[UNK]":0},"unk_token":"[UNK]"}}"#;

    fn hub(pairs: &[(&str, &str)]) -> Option<PathBuf> {
        let lookup = |name: &str| {
            let found = pairs.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        HubPaths::new(&lookup).hub
    }

    fn write(path: &Path, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn the_hub_cache_is_where_the_first_set_variable_says() {
        let all = [
            ("HF_HUB_CACHE", "/a"),
            ("HF_HOME", "/b"),
            ("XDG_CACHE_HOME", "/c"),
            ("HOME", "/d"),
        ];
        assert_eq!(hub(&all), Some("/a".into()));
        assert_eq!(hub(&all[1..]), Some("/b/hub".into()));
        assert_eq!(hub(&all[2..]), Some("/c/huggingface/hub".into()));
        assert_eq!(hub(&all[3..]), Some("/d/.cache/huggingface/hub".into()));
        assert_eq!(hub(&[("HF_HOME", ""), ("HOME", "/d")]), hub(&all[3..]));
        assert_eq!(hub(&[]), None);
    }

    #[test]
    fn a_tokenizer_is_found_as_file_as_folder_and_in_the_hub_cache() {
        let folder = tempfile::tempdir().unwrap();
        let snapshot = folder.path().join("models--org--name/snapshots/abc");
        write(&snapshot.join(TOKENIZER), TINY);
        write(&snapshot.join(TEMPLATE), "[in] {{ messages[0].content }}");
        write(&folder.path().join("models--org--name/refs/main"), "abc\n");
        let hub = HubPaths {
            hub: Some(folder.path().to_owned()),
        };
        let file = snapshot.join(TOKENIZER);
        for name in [
            "org/name",
            file.to_str().unwrap(),
            snapshot.to_str().unwrap(),
        ] {
            let tokenizer = tokenizer(name, &hub).unwrap();
            assert_eq!((tokenizer.name(), tokenizer.count("a b c")), (name, 3));
            assert_eq!(tokenizer.chat_overhead(), Some(3));
            assert_eq!(tokenizer.sha256().len(), 64);
        }
    }

    #[test]
    fn a_missing_tokenizer_is_named_with_the_places_and_a_hint() {
        let hub = HubPaths {
            hub: Some("/nowhere/hub".into()),
        };
        let error = tokenizer("org/name", &hub).unwrap_err();
        assert_eq!(
            error.to_string(),
            "no tokenizer `org/name`: looked for `org/name/tokenizer.json`, \
             `/nowhere/hub/models--org--name/refs/main`"
        );
        assert!(error.hint().unwrap().contains("hf download org/name"));
        let error = tokenizer("/nowhere/at/all", &hub).unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("looked for `/nowhere/at/all/tokenizer.json`")
        );
    }

    #[test]
    fn a_file_that_is_no_tokenizer_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(TOKENIZER);
        write(&path, "{}");
        let error = tokenizer(path.to_str().unwrap(), &HubPaths::default()).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("`{}` is not usable", path.display())
        );
    }

    #[test]
    fn a_prompt_is_a_text_or_the_content_of_a_file_or_its_rows() {
        let folder = tempfile::tempdir().unwrap();
        let (plain, rows) = (folder.path().join("a.txt"), folder.path().join("b.jsonl"));
        write(&plain, "Hello\n");
        write(&rows, "{\"prompt\":\"Hi\"}\n{\"prompt\":\"Ho\"}\n");
        let read = |path: &Path| prompt_text(&format!("@{}", path.display())).unwrap();
        assert_eq!(
            prompt_text("Hi @you").unwrap(),
            PromptSource::Text("Hi @you".into())
        );
        assert_eq!(read(&plain), PromptSource::Text("Hello\n".into()));
        assert!(matches!(read(&rows), PromptSource::Rows(rows) if rows.len() == 2));
        write(&rows, "{\"prompt\":\"Hi\"}\nHo\n");
        let error = prompt_text(&format!("@{}", rows.display())).unwrap_err();
        assert!(error.to_string().contains("b.jsonl"));
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(cause, "line 2: not a JSON object");
    }

    #[test]
    fn a_workload_is_shared_by_cores() {
        fn shared<T: Send + Sync>() {}
        shared::<Workload>();
        shared::<Tokenizer>();
    }
}
