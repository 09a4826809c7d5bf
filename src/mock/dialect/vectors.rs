//! Embeddings and ranking: answers without text, of one number or one vector for each thing that was asked about.
//! They are never streams.

use std::ops::Range;

use serde_json::{Value, json};

use super::{Dialect, openai};
use crate::mock::sse::Sse;
use crate::mock::talk::Talk;

/// Numbers in a vector, unless a request wants another length.
const DIMENSIONS: u32 = 8;

/// `POST /v1/embeddings`.
pub(in crate::mock) struct Embeddings;

/// `POST /v1/rerank`.
pub(in crate::mock) struct Rerank;

/// What both have in common: nothing to stream.
trait Vectors: Sync {
    fn answer(&self, talk: &Talk) -> Value;
}

impl Vectors for Embeddings {
    fn answer(&self, talk: &Talk) -> Value {
        let vector: Vec<f64> = (0..talk.dimensions.unwrap_or(DIMENSIONS))
            .map(|place| 1.0 / f64::from(place + 1))
            .collect();
        let item = |index| json!({"object": "embedding", "index": index, "embedding": vector});
        json!({
            "id": format!("embd-mock-{}", talk.number),
            "object": "list",
            "model": talk.model,
            "data": (0..talk.items).map(item).collect::<Vec<_>>(),
        })
    }
}

impl Vectors for Rerank {
    fn answer(&self, talk: &Talk) -> Value {
        let item =
            |index: u32| json!({"index": index, "relevance_score": 1.0 / f64::from(index + 1)});
        let best = talk.top_n.unwrap_or(talk.items).min(talk.items);
        json!({
            "id": format!("rerank-mock-{}", talk.number),
            "object": "list",
            "model": talk.model,
            "results": (0..best).map(item).collect::<Vec<_>>(),
        })
    }
}

impl<V: Vectors> Dialect for V {
    fn head(&self, _talk: &Talk) -> String {
        String::new()
    }

    fn opening(&self, _talk: &Talk, _sse: &mut Sse) {}

    fn step(&self, _talk: &Talk, _sse: &mut Sse, _choice: u32, _tokens: Range<u32>) {}

    fn ending(&self, _talk: &Talk, _sse: &mut Sse) {}

    fn error_event(&self, talk: &Talk, sse: &mut Sse) {
        openai::error_event(talk, sse);
    }

    fn broken_event(&self, talk: &Talk, sse: &mut Sse) {
        openai::broken_event(talk, sse);
    }

    fn whole(&self, talk: &Talk) -> Value {
        let mut answer = self.answer(talk);
        if talk.usage {
            let tokens = talk.prompt_tokens;
            answer["usage"] = json!({"prompt_tokens": tokens, "total_tokens": tokens});
        }
        answer
    }

    fn error(&self, status: u16, message: &str) -> Value {
        openai::error(status, message)
    }
}
