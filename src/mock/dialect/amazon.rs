//! Amazon's services: Bedrock's Converse, Anthropic's words in Bedrock's chunks, TGI's in `SageMaker`'s parts, all of them in
//! frames. Signatures are not looked at.

use std::fmt::Write;
use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{Chat, Dialect, Generate, Messages, STREAM_ERROR};
use crate::mock::course::Finish;
use crate::mock::sse::Sse;
use crate::mock::talk::Talk;

const FRAMES: &str = "application/vnd.amazon.eventstream";
const JSON: &str = "application/json";

/// `POST /model/…/converse` and `…/converse-stream`.
pub(in crate::mock) struct Converse;

/// `POST /model/…/invoke` and `…/invoke-with-response-stream`, in Anthropic's words.
pub(in crate::mock) struct Invoke;

/// `POST /endpoints/…/invocations` and `…/invocations-response-stream`, in TGI's words or those of OpenAI's chat.
pub(in crate::mock) struct SageMaker {
    pub(in crate::mock) chat: bool,
}

fn event(sse: &mut Sse, name: &str, payload: String) {
    let headers = [
        (":event-type", name),
        (":content-type", JSON),
        (":message-type", "event"),
    ];
    sse.frame_object(&headers, payload);
}

fn exception(sse: &mut Sse, name: &str, words: &str) {
    let headers = [
        (":exception-type", name),
        (":content-type", JSON),
        (":message-type", "exception"),
    ];
    sse.frame_object(&headers, format!("{{\"{words}\":\"{STREAM_ERROR}\""));
}

fn error(message: &str) -> Value {
    json!({ "message": message })
}

fn stop_reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop => "end_turn",
        Finish::Length => "max_tokens",
    }
}

fn usage(talk: &Talk) -> Value {
    json!({
        "inputTokens": talk.prompt_tokens,
        "outputTokens": talk.stated_tokens,
        "totalTokens": talk.prompt_tokens + talk.stated_tokens,
    })
}

impl Dialect for Converse {
    fn stream_type(&self) -> &'static str {
        FRAMES
    }

    fn head(&self, _talk: &Talk) -> String {
        String::new()
    }

    fn opening(&self, _talk: &Talk, sse: &mut Sse) {
        event(sse, "messageStart", "{\"role\":\"assistant\"".to_owned());
    }

    fn step(&self, talk: &Talk, sse: &mut Sse, choice: u32, tokens: Range<u32>) {
        let thinks = tokens.start < talk.reasoning;
        let text = Value::from(talk.speech(choice).text(tokens));
        let delta = if thinks {
            json!({"reasoningContent": {"text": text}})
        } else {
            json!({ "text": text })
        };
        let index = u32::from(talk.reasoning > 0 && !thinks);
        event(
            sse,
            "contentBlockDelta",
            format!("{{\"delta\":{delta},\"contentBlockIndex\":{index}"),
        );
    }

    fn ending(&self, talk: &Talk, sse: &mut Sse) {
        event(
            sse,
            "contentBlockStop",
            "{\"contentBlockIndex\":0".to_owned(),
        );
        if !talk.done {
            return;
        }
        let reason = stop_reason(talk.finish);
        event(sse, "messageStop", format!("{{\"stopReason\":\"{reason}\""));
        let mut figures = format!(
            "{{\"metrics\":{{\"latencyMs\":{}}}",
            talk.total_ns / 1_000_000
        );
        if talk.usage {
            // Writing to a string cannot fail.
            let _ = write!(figures, ",\"usage\":{}", usage(talk));
        }
        event(sse, "metadata", figures);
    }

    fn error_event(&self, _talk: &Talk, sse: &mut Sse) {
        exception(sse, "modelStreamErrorException", "message");
    }

    fn broken_event(&self, _talk: &Talk, sse: &mut Sse) {
        let headers = [
            (":event-type", "contentBlockDelta"),
            (":message-type", "event"),
        ];
        sse.frame(&headers, b"{\"delta\":{\"te");
    }

    fn ping(&self, _sse: &mut Sse) {}

    fn whole(&self, talk: &Talk) -> Value {
        let (thinking, text) = talk.texts(0);
        let mut content = Vec::new();
        if talk.reasoning > 0 {
            content.push(json!({"reasoningContent": {"reasoningText": {"text": thinking}}}));
        }
        if talk.tokens > talk.reasoning {
            content.push(json!({ "text": text }));
        }
        let mut answer = json!({
            "output": {"message": {"role": "assistant", "content": content}},
            "stopReason": stop_reason(talk.finish),
            "metrics": {"latencyMs": talk.total_ns / 1_000_000},
        });
        if talk.usage {
            answer["usage"] = usage(talk);
        }
        answer
    }

    fn error(&self, _status: u16, message: &str) -> Value {
        error(message)
    }
}

impl Invoke {
    /// What Anthropic's dialect writes, an event a chunk.
    fn pass_on(sse: &mut Sse, write: impl FnOnce(&mut Sse)) {
        let mut inner = sse.inner();
        write(&mut inner);
        let (bytes, _) = inner.take();
        let headers = [
            (":event-type", "chunk"),
            (":content-type", JSON),
            (":message-type", "event"),
        ];
        let events = bytes.split(|&byte| byte == b'\n');
        for data in events.filter_map(|line| line.strip_prefix(b"data: ")) {
            let chunk = format!("{{\"bytes\":\"{}\"}}", STANDARD.encode(data));
            sse.frame(&headers, chunk.as_bytes());
        }
    }
}

impl Dialect for Invoke {
    fn stream_type(&self) -> &'static str {
        FRAMES
    }

    fn head(&self, talk: &Talk) -> String {
        Messages.head(talk)
    }

    fn opening(&self, talk: &Talk, sse: &mut Sse) {
        Self::pass_on(sse, |inner| Messages.opening(talk, inner));
    }

    fn step(&self, talk: &Talk, sse: &mut Sse, choice: u32, tokens: Range<u32>) {
        Self::pass_on(sse, |inner| Messages.step(talk, inner, choice, tokens));
    }

    fn ending(&self, talk: &Talk, sse: &mut Sse) {
        Self::pass_on(sse, |inner| Messages.ending(talk, inner));
    }

    fn error_event(&self, _talk: &Talk, sse: &mut Sse) {
        exception(sse, "modelStreamErrorException", "message");
    }

    fn broken_event(&self, talk: &Talk, sse: &mut Sse) {
        Self::pass_on(sse, |inner| Messages.broken_event(talk, inner));
    }

    fn ping(&self, _sse: &mut Sse) {}

    fn whole(&self, talk: &Talk) -> Value {
        Messages.whole(talk)
    }

    fn error(&self, _status: u16, message: &str) -> Value {
        error(message)
    }
}

impl SageMaker {
    /// Whose words the container speaks.
    fn inner(&self) -> &'static dyn Dialect {
        if self.chat { &Chat } else { &Generate }
    }

    /// What another dialect writes, in two parts, as a server cuts where it happens to.
    fn pass_on(sse: &mut Sse, write: impl FnOnce(&mut Sse)) {
        let mut inner = sse.inner();
        write(&mut inner);
        let (bytes, _) = inner.take();
        let headers = [
            (":event-type", "PayloadPart"),
            (":content-type", "application/octet-stream"),
            (":message-type", "event"),
        ];
        let (first, second) = bytes.split_at(bytes.len() / 2);
        for part in [first, second].into_iter().filter(|part| !part.is_empty()) {
            sse.frame(&headers, part);
        }
    }
}

impl Dialect for SageMaker {
    fn stream_type(&self) -> &'static str {
        FRAMES
    }

    fn head(&self, talk: &Talk) -> String {
        self.inner().head(talk)
    }

    fn opening(&self, _talk: &Talk, _sse: &mut Sse) {}

    fn step(&self, talk: &Talk, sse: &mut Sse, choice: u32, tokens: Range<u32>) {
        Self::pass_on(sse, |inner| self.inner().step(talk, inner, choice, tokens));
    }

    fn ending(&self, talk: &Talk, sse: &mut Sse) {
        Self::pass_on(sse, |inner| self.inner().ending(talk, inner));
    }

    fn error_event(&self, _talk: &Talk, sse: &mut Sse) {
        exception(sse, "ModelStreamError", "Message");
    }

    fn broken_event(&self, talk: &Talk, sse: &mut Sse) {
        Self::pass_on(sse, |inner| self.inner().broken_event(talk, inner));
    }

    fn ping(&self, _sse: &mut Sse) {}

    fn whole(&self, talk: &Talk) -> Value {
        self.inner().whole(talk)
    }

    fn error(&self, _status: u16, message: &str) -> Value {
        json!({"ErrorCode": "ModelError", "Message": message})
    }
}
