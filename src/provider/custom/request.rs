//! Requests by the templates of a description: what a template can name, and what came of it checked.
//! What answers mean is in `words`.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request};
use minijinja::{Environment, Error, UndefinedBehavior, Value};
use serde_json::Map;
use serde_json::value::RawValue;

use super::file::Written;
use super::words::Words;
use super::{Description, FileError, read};
use crate::domain::{Ask, Prompt, Secret};
use crate::provider::asked::{Takes, images_in, text_of};
use crate::provider::body::{AsMessages, Template, secret_header};
use crate::provider::errors::excerpt;
use crate::provider::reader::Reader;
use crate::provider::rows::without_lengths;
use crate::provider::{Decoder, Endpoint, Kind, Provider, ShapeError, Spec, Task};

/// What the path can name: what is the same in all requests of a run.
const CONSTANT: [&str; 13] = [
    "model",
    "task",
    "stream",
    "temperature",
    "top_k",
    "n",
    "logprobs",
    "reasoning_effort",
    "dimensions",
    "normalize",
    "query",
    "top_n",
    "return_documents",
];

/// What the body can name beside them.
const OF_ASKS: [&str; 8] = [
    "prompt",
    "messages",
    "images",
    "tokens",
    "texts",
    "documents",
    "max_tokens",
    "forced",
];

const PATH: &str = "path";
/// By this ending values are written as JSON, with or without `tojson`.
const BODY: &str = "body.json";

/// The templates of a description, compiled.
#[derive(Debug)]
pub(super) struct Templates {
    environment: Environment<'static>,
    /// The variables that either names.
    named: BTreeSet<String>,
    path_line: usize,
    body_line: usize,
}

impl Templates {
    pub(super) fn new(path: Written, body: Written) -> Result<Self, FileError> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        let mut templates = Self {
            environment,
            named: BTreeSet::new(),
            path_line: path.line,
            body_line: body.line,
        };
        if !path.text.starts_with('/') {
            let message = format!("`path`: `{}` does not begin with `/`", path.text);
            return Err(FileError::at(path.line, message));
        }
        templates.add(PATH, path.text, &CONSTANT)?;
        let all: Vec<&str> = CONSTANT.into_iter().chain(OF_ASKS).collect();
        templates.add(BODY, body.text, &all)?;
        Ok(templates)
    }

    /// Whether a variable is named.
    pub(super) fn name(&self, variable: &str) -> bool {
        self.named.contains(variable)
    }

    fn add(&mut self, name: &'static str, text: String, known: &[&str]) -> Result<(), FileError> {
        let added = self.environment.add_template_owned(name, text);
        added.map_err(|error| self.failure(name, &error))?;
        let compiled = self.environment.get_template(name);
        let named = compiled
            .map_err(|error| self.failure(name, &error))?
            .undeclared_variables(false);
        let named: BTreeSet<String> = named.into_iter().collect();
        let functions: BTreeSet<&str> = self.environment.globals().map(|(name, _)| name).collect();
        let strange =
            |name: &&String| !known.contains(&name.as_str()) && !functions.contains(name.as_str());
        if let Some(strange) = named.iter().find(strange) {
            let message = format!(
                "`{}` names `{strange}`; it can name {}",
                key_of(name),
                known.join(", ")
            );
            return Err(FileError::at(self.first_line(name), message));
        }
        self.named.extend(named);
        Ok(())
    }

    fn first_line(&self, name: &str) -> usize {
        if name == PATH {
            self.path_line
        } else {
            self.body_line
        }
    }

    fn failure(&self, name: &str, error: &Error) -> FileError {
        let line = self.first_line(name) + error.line().unwrap_or(1).saturating_sub(1);
        let detail = error
            .detail()
            .map_or_else(String::new, |detail| format!(": {detail}"));
        FileError::at(
            line,
            format!("`{}`: {}{detail}", key_of(name), error.kind()),
        )
    }

    fn render(&self, name: &str, values: &Values<'_>) -> Result<String, FileError> {
        self.environment
            .get_template(name)
            .and_then(|template| template.render(values))
            .map_err(|error| self.failure(name, &error))
    }
}

fn key_of(name: &str) -> &str {
    name.trim_end_matches(".json")
}

type Values<'a> = BTreeMap<&'a str, Value>;

/// A described API.
#[derive(Debug)]
pub(in crate::provider) struct Described {
    description: Description,
    template: Template,
    constants: Values<'static>,
    stream: bool,
}

impl Described {
    /// The API for these settings.
    pub(in crate::provider) fn new(spec: &Spec) -> Result<Self, ShapeError> {
        let text = spec
            .custom
            .as_ref()
            .ok_or_else(|| FileError::whole("there is none; --provider-file names one"))?;
        let description = read(&text.text)?;
        let spec = &Spec {
            stream: spec.stream && spec.task.generates(),
            ..spec.clone()
        };
        refuse(spec, &description)?;
        let constants = constants(spec);
        let path = description.templates.render(PATH, &constants)?;
        let described = Self {
            template: Template::new(path, spec, &description.headers, Map::new())?,
            description,
            constants,
            stream: spec.stream,
        };
        described.shape(&described.trial(&spec.task))?;
        Ok(described)
    }

    /// An ask like those to come, so that what is wrong with a template is said before the run.
    fn trial(&self, task: &Task) -> Ask {
        let word: Arc<str> = "word".into();
        let prompt = match task {
            Task::Chat | Task::Completion if self.takes().tokens => Prompt::Tokens([1].into()),
            Task::Chat | Task::Completion => Prompt::Text(word),
            Task::Embeddings(_) => Prompt::Batch([word].into()),
            Task::Rerank(_) => Prompt::Documents([word].into()),
        };
        Ask {
            prompt,
            max_tokens: 1,
            requested_prompt_tokens: None,
            counted_prompt_tokens: None,
            extra: None,
            forced: None,
            turn: None,
        }
    }

    fn takes(&self) -> Takes {
        let names = |variable| self.description.templates.name(variable);
        Takes {
            parts: names("images") || names("messages"),
            tokens: names("tokens"),
            batch: names("texts"),
            documents: names("documents"),
            forced: names("forced"),
        }
    }

    /// What the body's template can name, for one ask. Only what it does name is made.
    fn values(&self, ask: &Ask) -> Values<'_> {
        let mut values = self.constants.clone();
        for variable in OF_ASKS {
            if self.description.templates.name(variable) {
                values.insert(variable, value_of(variable, ask));
            }
        }
        values
    }

    fn body(&self, ask: &Ask) -> Result<Box<RawValue>, FileError> {
        let templates = &self.description.templates;
        let text = templates.render(BODY, &self.values(ask))?;
        let shown = || excerpt(text.as_bytes());
        let wrong = |what: String| FileError::at(templates.body_line, format!("`body` {what}"));
        let body: Box<RawValue> = serde_json::from_str(&text)
            .map_err(|cause| wrong(format!("gives no JSON: {cause}: `{}`", shown())))?;
        if body.get().starts_with('{') {
            Ok(body)
        } else {
            Err(wrong(format!("gives no JSON object: `{}`", shown())))
        }
    }
}

/// Settings that the templates name nowhere would be dropped in silence. A temperature is always set.
fn refuse(spec: &Spec, description: &Description) -> Result<(), ShapeError> {
    let sampling = &spec.sampling;
    let names = |variable: &str| description.templates.name(variable);
    refuse_of_task(&spec.task, names)?;
    if spec.stream && description.answers.stream.is_none() {
        return Err(
            FileError::whole("no [stream] in it; --no-stream asks for whole answers").into(),
        );
    }
    Kind::Custom.refuse(&[
        ("top_k", sampling.top_k.is_some() && !names("top_k")),
        ("n", sampling.n.is_some_and(|n| n != 1) && !names("n")),
        (
            "logprobs",
            sampling.logprobs.is_some() && !names("logprobs"),
        ),
        (
            "reasoning_effort",
            sampling.reasoning_effort.is_some() && !names("reasoning_effort"),
        ),
    ])
}

/// Of these two there are variables for all but what `OpenAI`'s servers take beside them.
fn refuse_of_task(task: &Task, names: impl Fn(&str) -> bool) -> Result<(), ShapeError> {
    match task {
        Task::Chat | Task::Completion => Ok(()),
        Task::Embeddings(set) => Kind::Custom.refuse(&[
            (
                "dimensions",
                set.dimensions.is_some() && !names("dimensions"),
            ),
            ("normalize", set.normalize && !names("normalize")),
            ("prompt_template", set.prompt_template.is_some()),
            ("return_logits", set.return_logits.is_some()),
        ]),
        Task::Rerank(set) => Kind::Custom.refuse(&[
            ("query: its templates name none", !names("query")),
            ("top_n", set.top_n.is_some() && !names("top_n")),
            (
                "return_documents",
                !set.return_documents && !names("return_documents"),
            ),
        ]),
    }
}

/// What is the same in all requests; what is not set is `none`.
fn constants(spec: &Spec) -> Values<'static> {
    let sampling = &spec.sampling;
    let mut values: Values<'static> = CONSTANT.map(|name| (name, Value::from(()))).into();
    let mut set = |name, value: Option<Value>| {
        values.insert(name, value.unwrap_or_else(|| Value::from(())));
    };
    let task = match &spec.task {
        Task::Chat => "chat",
        Task::Completion => "completion",
        Task::Embeddings(embeddings) => {
            set("dimensions", embeddings.dimensions.map(Value::from));
            set("normalize", Some(Value::from(embeddings.normalize)));
            "embeddings"
        }
        Task::Rerank(rerank) => {
            set("query", Some(Value::from(rerank.query.as_str())));
            set("top_n", rerank.top_n.map(Value::from));
            set(
                "return_documents",
                Some(Value::from(rerank.return_documents)),
            );
            "rerank"
        }
    };
    set("task", Some(Value::from(task)));
    set("model", Some(Value::from(spec.model.as_str())));
    set("stream", Some(Value::from(spec.stream)));
    set("temperature", sampling.temperature.map(Value::from));
    set("top_k", sampling.top_k.map(Value::from));
    set("n", sampling.n.map(Value::from));
    set("logprobs", sampling.logprobs.map(Value::from));
    let effort = sampling.reasoning_effort.as_deref();
    set("reasoning_effort", effort.map(Value::from));
    values
}

fn is_worded(prompt: &Prompt) -> bool {
    matches!(
        prompt,
        Prompt::Text(_) | Prompt::Messages(_) | Prompt::Parts(_)
    )
}

fn value_of(variable: &str, ask: &Ask) -> Value {
    let worded = is_worded(&ask.prompt);
    let texts = |list: &[Arc<str>]| list.iter().map(|text| Value::from(&**text)).collect();
    match (variable, &ask.prompt) {
        ("max_tokens", _) => Value::from(ask.max_tokens),
        ("forced", _) => ask.forced.as_deref().map_or(Value::from(()), Value::from),
        ("images", _) => images_in(&ask.prompt).map(Value::from).collect(),
        ("prompt", prompt) if worded => Value::from(&*text_of(prompt)),
        ("messages", prompt) if worded => Value::from_serialize(AsMessages(prompt)),
        ("tokens", Prompt::Tokens(ids)) => ids.iter().copied().map(Value::from).collect(),
        ("texts", Prompt::Batch(list)) | ("documents", Prompt::Documents(list)) => texts(list),
        _ => Value::from(()),
    }
}

impl Provider for Described {
    fn endpoint(&self) -> &Endpoint {
        &self.template.endpoint
    }

    fn shape(&self, ask: &Ask) -> Result<Request<Bytes>, ShapeError> {
        Kind::Custom.check(ask, self.takes())?;
        let names = |variable| self.description.templates.name(variable);
        let silent = is_worded(&ask.prompt) && !names("prompt") && !names("messages");
        Kind::Custom.refuse(&[("words for a text: its body names no prompt", silent)])?;
        let body = self.body(ask)?;
        let mut extra = ask.extra.as_deref().map(Cow::Borrowed);
        if names("max_tokens")
            && let Some(extra) = &mut extra
        {
            without_lengths(extra);
        }
        self.template.request(&body, extra.as_deref())
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        Box::new(Reader::new(
            Words::new(&self.description.answers),
            self.stream,
        ))
    }

    fn auth(&self, key: &Secret) -> Result<(HeaderName, HeaderValue), ShapeError> {
        let (name, prefix) = &self.description.auth;
        secret_header(name.clone(), prefix, key)
    }
}
