//! Reads the file that describes an API. Whatever is wrong is said with its key and line; nothing is guessed or skipped.
//! It writes no requests and reads no answers.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};
use serde::Deserialize;
use toml::{Spanned, Value};

use super::fields::{Fields, Use, steps_of};
use super::request::Templates;
use super::{Answers, Description, End, Reasons, Scalar, Stream};
use crate::domain::{FinishReason, is_secret_header};

/// What is wrong with a description, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", line.map_or_else(String::new, |line| format!("line {line}: ")))]
pub struct FileError {
    line: Option<usize>,
    message: String,
}

impl FileError {
    /// Something that is wrong with the whole.
    pub(super) fn whole(message: impl Into<String>) -> Self {
        Self {
            line: None,
            message: message.into(),
        }
    }

    /// Something that is wrong with a line, counted from 1.
    pub(super) fn at(line: usize, message: impl Into<String>) -> Self {
        Self {
            line: Some(line),
            message: message.into(),
        }
    }
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    path: Spanned<String>,
    body: Spanned<String>,
    #[serde(default)]
    headers: BTreeMap<String, Spanned<String>>,
    auth: Option<Auth>,
    stream: Option<Spanned<Part>>,
    whole: Option<Spanned<Part>>,
    #[serde(default)]
    reasons: Words,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Auth {
    header: Spanned<String>,
    #[serde(default)]
    prefix: Option<Spanned<String>>,
}

/// `[stream]` or `[whole]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    framing: Option<Spanned<String>>,
    end: Option<Spanned<Value>>,
    error: Option<Spanned<Value>>,
    text: Option<Spanned<Value>>,
    reasoning: Option<Spanned<Value>>,
    tool_call: Option<Spanned<Value>>,
    vectors: Option<Spanned<Value>>,
    finish: Option<Spanned<Value>>,
    prompt_tokens: Option<Spanned<Value>>,
    completion_tokens: Option<Spanned<Value>>,
    cached_tokens: Option<Spanned<Value>>,
    reasoning_tokens: Option<Spanned<Value>>,
}

/// `[reasons]`: the server's words.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Words {
    stop: Vec<String>,
    length: Vec<String>,
    tool_calls: Vec<String>,
    content_filter: Vec<String>,
}

/// Reads a description.
///
/// # Errors
/// It is not TOML, has a key that means nothing or lacks one, or a value that cannot be used.
pub fn read(text: &str) -> Result<Description, FileError> {
    let file: File = toml::from_str(text).map_err(|error| {
        let line = error.span().map(|span| line_of(text, span.start));
        FileError {
            line,
            message: error.message().replace('\n', "; "),
        }
    })?;
    let source = Source(text);
    let templates = Templates::new(source.template(&file.path), source.template(&file.body))?;
    Ok(Description {
        templates,
        headers: source.headers(&file.headers)?,
        auth: source.auth(file.auth.as_ref())?,
        answers: Arc::new(source.answers(&file)?),
    })
}

fn line_of(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().get(..offset).unwrap_or_default();
    1 + memchr::memchr_iter(b'\n', before).count()
}

/// A template and the line that it begins in.
pub(super) struct Written {
    pub(super) text: String,
    pub(super) line: usize,
}

/// The file's text, to say where things stand.
struct Source<'a>(&'a str);

impl Source<'_> {
    fn fault(&self, span: &Range<usize>, message: impl Into<String>) -> FileError {
        FileError::at(line_of(self.0, span.start), message)
    }

    fn template(&self, value: &Spanned<String>) -> Written {
        let span = value.span();
        let literal = self.0.get(span.clone()).unwrap_or_default();
        // A line end right behind the opening quotes is not part of the text.
        let opening = literal.trim_start_matches(['"', '\'']);
        let skipped = usize::from(opening.starts_with(['\n', '\r']));
        Written {
            text: value.get_ref().clone(),
            line: line_of(self.0, span.start) + skipped,
        }
    }

    fn headers(
        &self,
        headers: &BTreeMap<String, Spanned<String>>,
    ) -> Result<Vec<(HeaderName, HeaderValue)>, FileError> {
        let header = |(name, value): (&String, &Spanned<String>)| {
            let wrong = |what| self.fault(&value.span(), format!("header `{name}` has {what}"));
            let key = HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| wrong("a name that no header can have"))?;
            if is_secret_header(name) {
                return Err(wrong(
                    "a secret by its name, and this text goes to workers and into results; \
                     --header or --api-key sends it",
                ));
            }
            let value = HeaderValue::from_str(value.get_ref())
                .map_err(|_| wrong("characters that a header cannot have"))?;
            Ok((key, value))
        };
        headers.iter().map(header).collect()
    }

    fn auth(&self, auth: Option<&Auth>) -> Result<(HeaderName, String), FileError> {
        let Some(Auth { header, prefix }) = auth else {
            return Ok((AUTHORIZATION, "Bearer ".to_owned()));
        };
        let name = HeaderName::from_bytes(header.get_ref().as_bytes()).map_err(|_| {
            let message = format!("`header` in [auth]: `{}` is no header", header.get_ref());
            self.fault(&header.span(), message)
        })?;
        let Some(prefix) = prefix else {
            return Ok((name, String::new()));
        };
        HeaderValue::from_str(prefix.get_ref()).map_err(|_| {
            let message = "`prefix` in [auth] has characters that a header cannot have";
            self.fault(&prefix.span(), message)
        })?;
        Ok((name, prefix.get_ref().clone()))
    }

    fn answers(&self, file: &File) -> Result<Answers, FileError> {
        let streamed = file.stream.as_ref();
        let stream = streamed.map(|part| self.stream(part)).transpose()?;
        let whole = self.whole(file.whole.as_ref(), streamed)?;
        Ok(Answers {
            stream,
            whole,
            reasons: reasons(&file.reasons),
        })
    }

    fn stream(&self, part: &Spanned<Part>) -> Result<Stream, FileError> {
        let lacks = |key: &str, hint: &str| {
            self.fault(&part.span(), format!("[stream] lacks `{key}`: {hint}"))
        };
        let its = part.get_ref();
        let framing = its
            .framing
            .as_ref()
            .ok_or_else(|| lacks("framing", "\"sse\" or \"lines\""))?;
        let lines = match framing.get_ref().as_str() {
            "sse" => false,
            "lines" => true,
            other => {
                let message =
                    format!("`framing` in [stream]: `{other}` is neither `sse` nor `lines`");
                return Err(self.fault(&framing.span(), message));
            }
        };
        let end = its.end.as_ref().ok_or_else(|| {
            lacks(
                "end",
                "the last event's data, { pointer = \"/done\", equals = true } or { close = true }",
            )
        })?;
        let (end, steps) = self.end(end)?;
        let mut pointers = self.pointers("stream", its)?;
        if !pointers.iter().any(|(purpose, _)| *purpose == Use::Text) {
            return Err(lacks("text", "a pointer like \"/choices/0/text\""));
        }
        pointers.extend(steps.map(|steps| (Use::End, steps)));
        Ok(Stream {
            lines,
            end,
            fields: Fields::new(pointers),
        })
    }

    /// The places in a whole body: where `[whole]` names none for something, those of the stream.
    fn whole(
        &self,
        part: Option<&Spanned<Part>>,
        streamed: Option<&Spanned<Part>>,
    ) -> Result<Fields, FileError> {
        let mut pointers = match part {
            None => Vec::new(),
            Some(part) => {
                let its = part.get_ref();
                let framing = its.framing.as_ref().map(|key| ("framing", key.span()));
                let end = its.end.as_ref().map(|key| ("end", key.span()));
                if let Some((key, span)) = framing.or(end) {
                    let message = format!("`{key}` belongs to [stream], not to [whole]");
                    return Err(self.fault(&span, message));
                }
                self.pointers("whole", its)?
            }
        };
        if let Some(streamed) = streamed {
            let own: Vec<Use> = pointers.iter().map(|(purpose, _)| *purpose).collect();
            let more = self.pointers("stream", streamed.get_ref())?;
            pointers.extend(
                more.into_iter()
                    .filter(|(purpose, _)| !own.contains(purpose)),
            );
        }
        let says = |purpose| matches!(purpose, Use::Text | Use::Vectors);
        if !pointers.iter().any(|(purpose, _)| says(*purpose)) {
            let message = "no `text`: where an answer's text stands is said in [stream] or [whole]";
            let line = part.map(|part| line_of(self.0, part.span().start));
            return Err(FileError {
                line,
                message: message.to_owned(),
            });
        }
        Ok(Fields::new(pointers))
    }

    fn pointers(&self, table: &str, part: &Part) -> Result<Vec<(Use, Vec<String>)>, FileError> {
        let keys = [
            ("error", Use::Error, &part.error),
            ("text", Use::Text, &part.text),
            ("reasoning", Use::Reasoning, &part.reasoning),
            ("tool_call", Use::ToolCall, &part.tool_call),
            ("vectors", Use::Vectors, &part.vectors),
            ("finish", Use::Finish, &part.finish),
            ("prompt_tokens", Use::PromptTokens, &part.prompt_tokens),
            (
                "completion_tokens",
                Use::CompletionTokens,
                &part.completion_tokens,
            ),
            ("cached_tokens", Use::CachedTokens, &part.cached_tokens),
            (
                "reasoning_tokens",
                Use::ReasoningTokens,
                &part.reasoning_tokens,
            ),
        ];
        let mut pointers = Vec::new();
        for (key, purpose, value) in keys {
            let Some(value) = value else { continue };
            for pointer in self.texts(table, key, value)? {
                let steps = self.steps(&format!("`{key}` in [{table}]"), pointer, &value.span())?;
                pointers.push((purpose, steps));
            }
        }
        Ok(pointers)
    }

    /// One pointer, or several.
    fn texts<'v>(
        &self,
        table: &str,
        key: &str,
        value: &'v Spanned<Value>,
    ) -> Result<Vec<&'v str>, FileError> {
        let texts = match value.get_ref() {
            Value::String(text) => Some(vec![text.as_str()]),
            Value::Array(list) if !list.is_empty() => list.iter().map(Value::as_str).collect(),
            _ => None,
        };
        texts.ok_or_else(|| {
            let message = format!("`{key}` in [{table}] is a pointer, or a list of pointers");
            self.fault(&value.span(), message)
        })
    }

    fn steps(
        &self,
        place: &str,
        pointer: &str,
        span: &Range<usize>,
    ) -> Result<Vec<String>, FileError> {
        steps_of(pointer).map_err(|why| {
            self.fault(
                span,
                format!("{place}: `{pointer}` is no JSON pointer: {why}"),
            )
        })
    }

    fn end(&self, value: &Spanned<Value>) -> Result<(End, Option<Vec<String>>), FileError> {
        let wrong = || {
            let message = "`end` in [stream] is the last event's data, { pointer = \"/done\", \
                           equals = true } or { close = true }";
            self.fault(&value.span(), message)
        };
        let table = match value.get_ref() {
            Value::String(data) if !data.is_empty() => return Ok((End::Data(data.clone()), None)),
            Value::Table(table) => table,
            _ => return Err(wrong()),
        };
        if let Some(close) = table.get("close") {
            return match close {
                Value::Boolean(true) if table.len() == 1 => Ok((End::Close, None)),
                _ => Err(wrong()),
            };
        }
        let known = |key: &String| matches!(key.as_str(), "pointer" | "equals");
        let pointer = table.get("pointer").and_then(Value::as_str);
        let Some(pointer) = pointer.filter(|_| table.keys().all(known)) else {
            return Err(wrong());
        };
        let steps = self.steps("`end` in [stream]", pointer, &value.span())?;
        let wanted = match table.get("equals") {
            None => None,
            Some(value) => Some(scalar(value).ok_or_else(wrong)?),
        };
        Ok((End::Field(wanted), Some(steps)))
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "what JSON holds is compared as JavaScript would"
)]
fn scalar(value: &Value) -> Option<Scalar> {
    Some(match value {
        Value::Boolean(value) => Scalar::Bool(*value),
        Value::Integer(value) => Scalar::Number(*value as f64),
        Value::Float(value) => Scalar::Number(*value),
        Value::String(value) => Scalar::Text(value.clone()),
        _ => return None,
    })
}

fn reasons(words: &Words) -> Reasons {
    let lists = [
        (&words.stop, FinishReason::Stop),
        (&words.length, FinishReason::Length),
        (&words.tool_calls, FinishReason::ToolCalls),
        (&words.content_filter, FinishReason::ContentFilter),
    ];
    let each = lists
        .into_iter()
        .flat_map(|(list, reason)| list.iter().map(move |word| (word.clone(), reason)));
    Reasons(each.collect())
}
