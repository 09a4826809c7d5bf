//! What each backend is sent, and where it has what. A table: it asks no server.

use serde_json::{Map, Value, json};

use crate::provider::{Kind, Place, Task};

/// What serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Backend {
    /// The word for it.
    pub(super) name: &'static str,
    /// The path of its completions.
    completions: &'static str,
    /// The path of its metrics.
    pub(super) metrics: &'static str,
    /// Chats alone, whatever the path is.
    chats: bool,
    /// How it is made to write answers of a length.
    lengths: Lengths,
    /// Whom it says what it is.
    pub(super) says: Says,
}

/// How an answer is made as long as it is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lengths {
    /// `min_tokens`, and a penalty of repetition so that no answer runs in circles.
    LeastAndPenalty,
    /// `min_tokens` alone.
    Least,
    /// It is not: the server ends answers when it likes.
    Most,
}

/// Where a server says what it is, before its list of models is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Says {
    /// At the info endpoint, with its launch arguments beside.
    Info,
    /// Its version, at this path and under this name of the answer.
    Version(&'static str, &'static str),
    /// Nothing.
    Nothing,
}

/// All of them; the first is the default.
pub(super) const BACKENDS: [Backend; 6] = [
    Backend {
        name: "happy_vllm",
        completions: "/v1/completions",
        metrics: "/metrics/",
        chats: false,
        lengths: Lengths::LeastAndPenalty,
        says: Says::Info,
    },
    Backend {
        name: "vllm",
        completions: "/v1/completions",
        metrics: "/metrics",
        chats: false,
        lengths: Lengths::LeastAndPenalty,
        says: Says::Version("/version", "version"),
    },
    Backend {
        name: "sglang",
        completions: "/v1/completions",
        metrics: "/metrics",
        chats: false,
        lengths: Lengths::LeastAndPenalty,
        says: Says::Version("/get_server_info", "version"),
    },
    Backend {
        name: "tgi",
        completions: "/generate_stream",
        metrics: "/metrics",
        chats: false,
        lengths: Lengths::Most,
        says: Says::Version("/info", "version"),
    },
    Backend {
        name: "mistral",
        completions: "/v1/chat/completions",
        metrics: "/metrics",
        chats: true,
        lengths: Lengths::Least,
        says: Says::Nothing,
    },
    Backend {
        name: "openai",
        completions: "/v1/chat/completions",
        metrics: "/metrics",
        chats: false,
        lengths: Lengths::Most,
        says: Says::Nothing,
    },
];

/// How requests are said.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Speech {
    pub(super) kind: Kind,
    pub(super) task: Task,
    pub(super) place: Place,
}

impl Backend {
    /// The one of this name, or the default.
    pub(super) fn named(name: Option<&str>) -> Self {
        let [default, ..] = BACKENDS;
        let is_it = |backend: &&Self| Some(backend.name) == name;
        BACKENDS.iter().find(is_it).copied().unwrap_or(default)
    }

    /// The words of requests for `path`, or for the backend's own.
    pub(super) fn speech(self, path: Option<&str>) -> Speech {
        let path = path.unwrap_or(self.completions).trim_end_matches('/');
        if self.name == "tgi" && path == self.completions {
            return Speech {
                kind: Kind::Tgi,
                task: Task::Completion,
                place: Place::default(),
            };
        }
        let is_chat = self.chats || path.ends_with("/chat/completions");
        let kind = match self.name {
            "sglang" => Kind::SgLang,
            _ => Kind::OpenAi,
        };
        Speech {
            kind,
            task: if is_chat {
                Task::Chat
            } else {
                Task::Completion
            },
            place: Place {
                // Its usage comes unasked, and the upstream tool does not ask.
                no_stream_options: self.chats,
                ..place(path, is_chat)
            },
        }
    }

    /// What goes into the body of a request for an answer of so many tokens, beside what its API has for everybody.
    pub(super) fn fields(self, output: u32, kind: Kind) -> Map<String, Value> {
        let fields = match (self.lengths, kind) {
            (Lengths::LeastAndPenalty, _) => {
                json!({"min_tokens": output, "repetition_penalty": 1.2})
            }
            (Lengths::Least, _) => json!({"min_tokens": output}),
            (Lengths::Most, Kind::Tgi) => json!({"parameters": {"repetition_penalty": 1.2}}),
            (Lengths::Most, _) => json!({}),
        };
        match fields {
            Value::Object(fields) => fields,
            _ => Map::new(),
        }
    }

    /// Whether it can be made to write so many tokens and no fewer.
    pub(super) const fn keeps_lengths(self) -> bool {
        !matches!(self.lengths, Lengths::Most)
    }
}

/// Where the API stands whose requests go to `path`.
fn place(path: &str, is_chat: bool) -> Place {
    let usual = if is_chat {
        "/chat/completions"
    } else {
        "/completions"
    };
    match path.strip_suffix(usual) {
        Some("/v1") => Place::default(),
        Some(root) => Place {
            root: Some(root.to_owned()),
            ..Place::default()
        },
        None => Place {
            path: Some(path.to_owned()),
            ..Place::default()
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vllm_is_sent_completions_of_an_exact_length() {
        let backend = Backend::named(None);
        assert_eq!(backend.name, "happy_vllm");
        let speech = backend.speech(None);
        assert_eq!((speech.kind, speech.task), (Kind::OpenAi, Task::Completion));
        assert_eq!(speech.place, Place::default());
        let fields = Value::Object(backend.fields(16, speech.kind));
        assert_eq!(fields, json!({"min_tokens": 16, "repetition_penalty": 1.2}));
    }

    #[test]
    fn the_path_says_whether_an_api_is_for_chats_and_mistral_s_always_is() {
        let speech = |name, path| Backend::named(Some(name)).speech(path);
        assert_eq!(speech("openai", None).task, Task::Chat);
        let moved = speech("openai", Some("/api/completions"));
        assert_eq!(moved.task, Task::Completion);
        assert_eq!(moved.place.root.as_deref(), Some("/api"));
        let other = speech("openai", Some("/generate"));
        assert_eq!(other.place.path.as_deref(), Some("/generate"));
        assert_eq!(
            speech("vllm", Some("/v1/chat/completions")).task,
            Task::Chat
        );
        assert_eq!(speech("mistral", None).task, Task::Chat);
        let fields = Value::Object(Backend::named(Some("mistral")).fields(3, Kind::OpenAi));
        assert_eq!(fields, json!({"min_tokens": 3}));
        assert!(speech("mistral", None).place.no_stream_options);
        assert!(!speech("openai", None).place.no_stream_options);
    }

    #[test]
    fn text_generation_inference_is_spoken_to_in_its_own_words_or_in_openai_s() {
        let backend = Backend::named(Some("tgi"));
        assert_eq!(backend.speech(None).kind, Kind::Tgi);
        let other = backend.speech(Some("/v1/completions"));
        assert_eq!((other.kind, other.task), (Kind::OpenAi, Task::Completion));
        assert!(!backend.keeps_lengths());
    }
}
