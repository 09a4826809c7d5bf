//! Tests of the room as a whole: recorded answers, their properties, and the requests that are made.

mod aws;
mod codes;
mod framing;
mod google;
mod own_words;
mod properties;
mod recorded;
mod requests;
mod servers;
mod vectors;

use super::*;
use crate::domain::Prompt;

/// Settings with nothing set that need not be.
fn spec(kind: Kind, chat: bool, stream: bool) -> Spec {
    Spec {
        kind,
        // A name tells whose words a model takes.
        model: if kind == Kind::BedrockInvoke {
            "anthropic.claude-v2".to_owned()
        } else {
            "m".to_owned()
        },
        task: if chat { Task::Chat } else { Task::Completion },
        stream,
        sampling: Sampling::default(),
        headers: indexmap::IndexMap::new(),
        fireworks: Fireworks::default(),
        azure: None,
        place: place(kind),
        custom: (kind == Kind::Custom).then(|| Custom {
            text: DESCRIPTION.to_owned(),
        }),
    }
}

/// A place, for APIs that need one.
fn place(kind: Kind) -> Place {
    Place {
        google: matches!(kind, Kind::VertexPredict | Kind::VertexAnthropic).then(|| Google {
            project: "p".to_owned(),
            region: "r".to_owned(),
            endpoint: (kind == Kind::VertexPredict).then(|| "12".to_owned()),
        }),
        ..Place::default()
    }
}

/// A server's words, as a user describes them.
const DESCRIPTION: &str = include_str!("../../../tests/fixtures/custom/words.toml");

/// Settings like these that an API takes: not all of them chat, or stream.
fn spoken(kind: Kind, stream: bool) -> Option<Spec> {
    let each = [true, false].map(|chat| spec(kind, chat, stream));
    each.into_iter().find(|spec| build(spec).is_ok())
}

/// A recorded answer.
#[derive(Clone, Copy, Debug)]
struct Recorded {
    folder: &'static str,
    name: &'static str,
    kind: Kind,
    stream: bool,
    /// Whether it is one document, whatever was asked for.
    document: bool,
    body: &'static str,
}

macro_rules! recorded {
    ($($kind:ident $stream:literal $folder:literal $name:literal $ending:literal;)*) => {
        const RECORDED: &[Recorded] = &[$(Recorded {
            folder: $folder,
            name: $name,
            kind: Kind::$kind,
            stream: $stream,
            document: matches!($ending.as_bytes(), b"json"),
            body: include_str!(concat!(
                "../../../tests/fixtures/", $folder, "/", $name, ".", $ending
            )),
        }),*];
    };
}

recorded! {
    Vllm true "openai" "vllm_chat" "sse";
    Vllm true "openai" "vllm_continuous_usage" "sse";
    Vllm true "openai" "vllm_completions_logprobs" "sse";
    Vllm true "openai" "vllm_error" "sse";
    OpenAi true "openai" "mistral_strays" "sse";
    OpenAi true "openai" "llamacpp_chat" "sse";
    SgLang true "openai" "sglang_chat" "sse";
    OpenAi true "openai" "litellm_chat" "sse";
    OpenAi true "openai" "transformers_serve" "sse";
    OpenAi true "openai" "transformers_serve_cut" "sse";
    OpenAi true "openai" "openai_reasoning" "sse";
    OpenAi true "openai" "openai_tool_calls" "sse";
    OpenAi true "openai" "openai_refusal" "sse";
    OpenAi true "openai" "openai_two_choices" "sse";
    OpenAi true "openai" "openai_logprobs" "sse";
    OpenAi true "openai" "openai_after_end" "sse";
    OpenAi true "openai" "openai_shapes" "sse";
    OpenAi true "openai" "openai_error_event" "sse";
    OpenAi false "openai" "chat_body" "json";
    OpenAi false "openai" "completions_body_logprobs" "json";
    OpenAi true "openai" "error_body" "json";
    Anthropic true "anthropic" "messages" "sse";
    Anthropic true "anthropic" "error" "sse";
    Anthropic true "anthropic" "cut" "sse";
    Anthropic true "anthropic" "whole_instead_of_stream" "json";
    Anthropic false "anthropic" "error_body" "json";
    Tgi true "tgi" "stream" "sse";
    Tgi true "tgi" "length" "sse";
    Tgi true "tgi" "error" "sse";
    Tgi true "tgi" "error_in_data" "sse";
    Tgi true "tgi" "cut" "sse";
    Tgi false "tgi" "body" "json";
    Tgi false "tgi" "list_body" "json";
    Vllm false "openai" "vllm_embeddings" "json";
    Vllm false "openai" "vllm_rerank" "json";
    OpenAi false "openai" "embeddings_error" "json";
    OpenAi false "openai" "rerank_data" "json";
    Fireworks true "fireworks" "chat" "sse";
    Fireworks true "fireworks" "chat_strings" "sse";
    Fireworks true "fireworks" "chat_unreadable" "sse";
    Fireworks false "fireworks" "completions_body" "json";
    Together true "together" "completions" "sse";
    Together false "together" "output_body" "json";
    Together false "together" "body" "json";
    Together false "together" "error_body" "json";
    Azure true "azure" "chat" "sse";
    Azure true "azure" "filtered" "sse";
    Azure false "azure" "embeddings_body" "json";
    TritonInfer false "triton" "infer" "json";
    TritonInfer false "triton" "infer_rows" "json";
    TritonInfer false "triton" "infer_no_echo" "json";
    TritonGenerate false "triton" "generate" "json";
    TritonGenerate false "triton" "error_body" "json";
    TritonGenerate true "triton" "generate_stream" "sse";
    TritonGenerate true "triton" "generate_error" "sse";
    Ollama true "ollama" "chat" "ndjson";
    Ollama true "ollama" "generate" "ndjson";
    Ollama true "ollama" "tool_call" "ndjson";
    Ollama true "ollama" "error" "ndjson";
    Ollama true "ollama" "cut" "ndjson";
    Ollama false "ollama" "body" "json";
    Ollama false "ollama" "embed_body" "json";
    Ollama true "ollama" "error_body" "json";
    LlamaCpp true "llamacpp" "stream" "sse";
    LlamaCpp true "llamacpp" "probabilities" "sse";
    LlamaCpp true "llamacpp" "end_token" "sse";
    LlamaCpp true "llamacpp" "older" "sse";
    LlamaCpp true "llamacpp" "error" "sse";
    LlamaCpp false "llamacpp" "body" "json";
    Responses true "responses" "openai" "sse";
    Responses true "responses" "incomplete" "sse";
    Responses true "responses" "tool_call" "sse";
    Responses true "responses" "failed" "sse";
    Responses true "responses" "error" "sse";
    Responses true "responses" "llamacpp" "sse";
    Responses false "responses" "body" "json";
    Responses false "responses" "failed_body" "json";
    Custom true "custom" "stream" "sse";
    Custom true "custom" "error" "sse";
    Custom false "custom" "body" "json";
    Custom true "custom" "error_body" "json";
    Gemini true "gemini" "stream" "sse";
    Gemini true "gemini" "thoughts" "sse";
    Gemini true "gemini" "hidden_thoughts" "sse";
    Gemini true "gemini" "call" "sse";
    Gemini true "gemini" "blocked" "sse";
    Gemini true "gemini" "error" "sse";
    Gemini true "gemini" "cut" "sse";
    Gemini true "gemini" "error_list" "json";
    Gemini true "gemini" "list_instead_of_stream" "json";
    Gemini false "gemini" "body" "json";
    Gemini false "gemini" "two_candidates" "json";
    Gemini false "gemini" "blocked_body" "json";
    VertexPredict false "vertex" "predict" "json";
    VertexPredict false "vertex" "predict_counted" "json";
    VertexPredict false "vertex" "predict_listed" "json";
    VertexPredict false "vertex" "predict_error" "json";
    VertexAnthropic true "vertex" "anthropic" "sse";
    VertexAnthropic false "vertex" "anthropic_body" "json";
}

impl Recorded {
    /// A decoder for the answer to this prompt, which some answers repeat.
    fn decoder(&self) -> Box<dyn Decoder> {
        let spec = Spec {
            task: self.task(),
            ..spoken(self.kind, self.stream).unwrap()
        };
        let ask = ask(Prompt::Text("Say hi".into()), None);
        build(&spec).unwrap().decoder_for(&ask)
    }

    fn task(&self) -> Task {
        if self.name.contains("embeddings") {
            Task::Embeddings(Embeddings::default())
        } else if self.name.contains("rerank") {
            Task::Rerank(ranking())
        } else {
            spoken(self.kind, self.stream).unwrap().task
        }
    }
}

fn ranking() -> Rerank {
    Rerank {
        query: "Which is best?".to_owned(),
        top_n: None,
        return_documents: true,
    }
}

fn ask(prompt: Prompt, extra: Option<serde_json::Value>) -> Ask {
    let extra = extra.map(|extra| Arc::new(extra.as_object().unwrap().clone()));
    Ask {
        prompt,
        max_tokens: 64,
        requested_prompt_tokens: None,
        counted_prompt_tokens: None,
        extra,
        forced: None,
        turn: None,
    }
}

/// Everything a decoder says of a body that comes in these pieces, one line a signal.
fn said<'b>(mut decoder: Box<dyn Decoder>, pieces: impl Iterator<Item = &'b [u8]>) -> Vec<String> {
    let mut lines = Vec::new();
    let mut outcome = Ok(());
    for piece in pieces {
        outcome = decoder.feed(piece, &mut |signal| lines.push(format!("{signal:?}")));
        if outcome.is_err() {
            break;
        }
    }
    let outcome =
        outcome.and_then(|()| decoder.finish(&mut |signal| lines.push(format!("{signal:?}"))));
    if let Err(error) = outcome {
        lines.push(format!("error: {error}"));
    }
    lines
}

/// What a decoder says of a body in one piece.
fn said_of(decoder: Box<dyn Decoder>, body: &[u8]) -> Vec<String> {
    said(decoder, std::iter::once(body))
}
