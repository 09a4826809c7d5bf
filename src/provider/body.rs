//! How a request is put together: the constant part prepared once, the ask's own fields, a row's fields last.
//! It knows no API's field names.

use std::borrow::Cow;

use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use serde::ser::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::{Endpoint, ShapeError, Spec};
use crate::domain::{Message, Prompt, Role, Secret};

/// The parts of a request that do not change during a run.
#[derive(Debug)]
pub(super) struct Template {
    pub(super) endpoint: Endpoint,
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
        let accept = if spec.stream {
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
        let path = path.into();
        let uri = match &path {
            Cow::Borrowed(path) => Uri::from_static(path),
            Cow::Owned(path) => {
                Uri::try_from(path.as_str()).map_err(|_| ShapeError::Path(path.clone()))?
            }
        };
        let mut head = serde_json::to_vec(&constants)?;
        head.pop();
        Ok(Self {
            endpoint: Endpoint {
                method: Method::POST,
                path,
            },
            uri,
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
            Some(extra) if !extra.is_empty() => self.merged(own, extra)?,
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

/// A prompt as chat messages.
pub(super) struct AsMessages<'a>(pub(super) &'a Prompt);

impl Serialize for AsMessages<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Prompt::Messages(messages) => serializer.collect_seq(messages.iter()),
            Prompt::Text(text) => serializer.collect_seq([UserMessage::new(text)]),
            _ => serializer.collect_seq([UserMessage::new("")]),
        }
    }
}

#[derive(serde::Serialize)]
struct UserMessage<'a> {
    role: Role,
    content: &'a str,
}

impl<'a> UserMessage<'a> {
    const fn new(content: &'a str) -> Self {
        Self {
            role: Role::User,
            content,
        }
    }
}

/// A prompt as one text: the contents of a conversation are joined by blank lines.
pub(super) fn as_text(prompt: &Prompt) -> Cow<'_, str> {
    match prompt {
        Prompt::Text(text) => Cow::Borrowed(text),
        Prompt::Messages(messages) => Cow::Owned(joined_contents(messages.iter())),
        _ => Cow::Borrowed(""),
    }
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
    fn a_rows_fields_win_and_objects_are_merged() {
        let body = json!({"a": 1, "o": {"x": 1, "y": 2}, "p": {"q": 1}});
        let extra = json!({"a": null, "o": {"y": {"z": 3}}, "p": [1], "new": true});
        assert_eq!(
            merged(body, &extra),
            json!({"a": null, "o": {"x": 1, "y": {"z": 3}}, "p": [1], "new": true})
        );
    }
}
