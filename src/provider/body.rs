//! How a request is put together: the constant part prepared once, the ask's own fields, a row's fields last.
//! It knows no API's field names.

use std::borrow::Cow;

use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use serde::ser::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::rows::{check_row, keep_one_length, place_row_fields};
use super::{Endpoint, Kind, ShapeError, Spec};
use crate::domain::{Message, Part, Prompt, Role, Secret};

/// The parts of a request that do not change during a run.
#[derive(Debug)]
pub(super) struct Template {
    pub(super) endpoint: Endpoint,
    kind: Kind,
    stream: bool,
    uri: Uri,
    headers: HeaderMap,
    constants: Map<String, Value>,
    /// `constants` as JSON, without the closing brace.
    head: Vec<u8>,
}

impl Template {
    /// A request to `path` with these body fields; `own_headers` are the API's, and the settings' come over them.
    pub(super) fn new(
        path: impl Into<Cow<'static, str>>,
        spec: &Spec,
        own_headers: &[(HeaderName, HeaderValue)],
        constants: Map<String, Value>,
    ) -> Result<Self, ShapeError> {
        let path = path.into();
        let accept = if spec.streams() {
            "text/event-stream"
        } else {
            "application/json"
        };
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static(accept));
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        for (name, value) in own_headers {
            headers.insert(name.clone(), value.clone());
        }
        for (name, value) in &spec.headers {
            let bad = || ShapeError::Header(name.clone());
            let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?;
            headers.insert(key, HeaderValue::from_str(value).map_err(|_| bad())?);
        }
        let mut head = serde_json::to_vec(&constants)?;
        head.pop();
        Ok(Self {
            kind: spec.kind,
            stream: spec.streams(),
            uri: Uri::try_from(path.as_ref()).map_err(|_| ShapeError::Path(path.to_string()))?,
            endpoint: Endpoint {
                method: Method::POST,
                path,
            },
            headers,
            constants,
            head,
        })
    }

    /// The request for one ask: `own` must serialise as a non-empty object.
    pub(super) fn request(
        &self,
        own: &impl Serialize,
        extra: Option<&Map<String, Value>>,
    ) -> Result<Request<Bytes>, ShapeError> {
        let body = match extra {
            Some(extra) if !extra.is_empty() => {
                check_row(self.kind, self.stream, extra)?;
                self.merged(own, &place_row_fields(self.kind, extra))?
            }
            _ => self.joined(own)?,
        };
        let mut request = Request::new(Bytes::from(body));
        *request.method_mut() = self.endpoint.method.clone();
        *request.uri_mut() = self.uri.clone();
        request.headers_mut().clone_from(&self.headers);
        Ok(request)
    }

    /// The common way: two runs of bytes, where the second one's brace becomes a comma.
    fn joined(&self, own: &impl Serialize) -> Result<Vec<u8>, ShapeError> {
        if self.constants.is_empty() {
            return Ok(serde_json::to_vec(own)?);
        }
        let mut body = self.head.clone();
        let brace = body.len();
        serde_json::to_writer(&mut body, own)?;
        body[brace] = b',';
        Ok(body)
    }

    fn merged(
        &self,
        own: &impl Serialize,
        extra: &Map<String, Value>,
    ) -> Result<Vec<u8>, ShapeError> {
        let mut body = self.constants.clone();
        if let Value::Object(own) = serde_json::to_value(own)? {
            body.extend(own);
        }
        merge(&mut body, extra);
        keep_one_length(self.kind, &mut body, extra);
        Ok(serde_json::to_vec(&body)?)
    }
}

/// Fields of `extra` replace those of `body`; where both are objects, their fields are merged the same way, so
/// that a row which sets one of `parameters` or `stream_options` does not lose the others.
fn merge(body: &mut Map<String, Value>, extra: &Map<String, Value>) {
    for (name, value) in extra {
        match (body.get_mut(name), value) {
            (Some(Value::Object(old)), Value::Object(new)) => merge(old, new),
            _ => {
                body.insert(name.clone(), value.clone());
            }
        }
    }
}

/// `text` as a part of a path or of a query: what is not plain there is escaped (RFC 3986, 2.3).
pub fn path_segment(text: &str) -> String {
    let mut segment = String::with_capacity(text.len());
    for &byte in text.as_bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            segment.push(char::from(byte));
        } else {
            segment.push('%');
            for digit in [byte >> 4, byte & 15] {
                let digit = char::from_digit(u32::from(digit), 16).unwrap_or_default();
                segment.push(digit.to_ascii_uppercase());
            }
        }
    }
    segment
}

/// A header with the key in it, marked so that it is not shown.
pub(super) fn secret_header(
    name: HeaderName,
    prefix: &str,
    key: &Secret,
) -> Result<(HeaderName, HeaderValue), ShapeError> {
    let mut value =
        HeaderValue::from_str(&format!("{prefix}{}", key.expose())).map_err(|_| ShapeError::Key)?;
    value.set_sensitive(true);
    Ok((name, value))
}

/// Adds a constant if it is set.
pub(super) fn set<T: Into<Value>>(body: &mut Map<String, Value>, name: &str, value: Option<T>) {
    if let Some(value) = value {
        body.insert(name.to_owned(), value.into());
    }
}

/// A prompt as chat messages: of texts, and of images as `OpenAI` writes them.
#[derive(Debug)]
pub(super) struct AsMessages<'a>(pub(super) &'a Prompt);

impl<'a> AsMessages<'a> {
    /// The prompt as messages to an API of this kind.
    ///
    /// # Errors
    /// It is none of text.
    pub(super) fn new(kind: Kind, prompt: &'a Prompt) -> Result<Self, ShapeError> {
        match prompt {
            Prompt::Text(_) | Prompt::Messages(_) | Prompt::Parts(_) => Ok(Self(prompt)),
            Prompt::Tokens(_) => {
                Err(kind.lacks("chat of token ids; plain completions (--no-chat) take them"))
            }
            Prompt::Batch(_) | Prompt::Documents(_) => Err(unsaid(kind, prompt)),
        }
    }
}

impl Serialize for AsMessages<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Prompt::Messages(messages) => serializer.collect_seq(messages.iter()),
            Prompt::Text(text) => serializer.collect_seq([UserMessage::new(text.as_ref())]),
            Prompt::Parts(parts) => {
                let parts: Vec<_> = parts.iter().map(ContentPart::from).collect();
                serializer.collect_seq([UserMessage::new(parts)])
            }
            _ => Err(serde::ser::Error::custom("a prompt that is no message")),
        }
    }
}

#[derive(serde::Serialize)]
struct UserMessage<T> {
    role: Role,
    content: T,
}

impl<T> UserMessage<T> {
    const fn new(content: T) -> Self {
        Self {
            role: Role::User,
            content,
        }
    }
}

#[derive(serde::Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ContentPart<'a> {
    Text { text: &'a str },
    ImageUrl { image_url: ImageUrl<'a> },
}

#[derive(serde::Serialize)]
struct ImageUrl<'a> {
    url: &'a str,
}

impl<'a> From<&'a Part> for ContentPart<'a> {
    fn from(part: &'a Part) -> Self {
        match part {
            Part::Text(text) => Self::Text { text },
            Part::Image(url) => Self::ImageUrl {
                image_url: ImageUrl { url },
            },
        }
    }
}

/// A prompt as one text for an API of this kind: the contents of a conversation are joined by blank lines.
///
/// # Errors
/// It is more than text.
pub(super) fn as_text(kind: Kind, prompt: &Prompt) -> Result<Cow<'_, str>, ShapeError> {
    match prompt {
        Prompt::Text(text) => Ok(Cow::Borrowed(text)),
        Prompt::Messages(messages) => Ok(Cow::Owned(joined_contents(messages.iter()))),
        _ => Err(unsaid(kind, prompt)),
    }
}

/// There are no words for such a prompt.
pub(super) fn unsaid(kind: Kind, prompt: &Prompt) -> ShapeError {
    kind.lacks(match prompt {
        Prompt::Text(_) => "prompts of text here",
        Prompt::Messages(_) => "conversations here",
        Prompt::Parts(_) => "images here; chat has them, where a server does",
        Prompt::Tokens(_) => "prompts of token ids here",
        Prompt::Batch(_) => "batches of texts here; embeddings have them",
        Prompt::Documents(_) => "documents here; ranking has them",
    })
}

/// The contents of messages, joined by blank lines.
pub(super) fn joined_contents<'a>(messages: impl Iterator<Item = &'a Message>) -> String {
    let contents: Vec<&str> = messages.map(|message| message.content.as_str()).collect();
    contents.join("\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn merged(mut body: Value, extra: &Value) -> Value {
        merge(body.as_object_mut().unwrap(), extra.as_object().unwrap());
        body
    }

    #[test]
    fn a_segment_of_a_path_is_escaped_where_it_is_not_plain() {
        assert_eq!(path_segment("gpt-4o_mini.v1~2"), "gpt-4o_mini.v1~2");
        assert_eq!(path_segment("a/b c?é"), "a%2Fb%20c%3F%C3%A9");
    }

    #[test]
    fn a_rows_fields_win_and_objects_are_merged() {
        let body = json!({"a": 1, "o": {"x": 1, "y": 2}, "p": {"q": 1}});
        let extra = json!({"a": null, "o": {"y": {"z": 3}}, "p": [1], "new": true});
        assert_eq!(
            merged(body, &extra),
            json!({"a": null, "o": {"x": 1, "y": {"z": 3}}, "p": [1], "new": true})
        );
    }
}
