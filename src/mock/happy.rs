//! What `happy_vllm` and vLLM tell of themselves: version, model, launch arguments. Facts of the script, under their names.
//!
//! Source of the names: `happy_vllm`'s documentation (`france-travail.github.io/happy_vllm`), "Endpoints".

use serde_json::{Value, json};

use super::script::Script;

/// What the mock says its versions are: they are its own, whatever it stands for.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// `GET /v1/info`.
pub(super) fn info(script: &Script) -> Value {
    json!({
        "application": "llmload mock",
        "version": VERSION,
        "vllm_version": VERSION,
        "model_name": script.model,
        "truncation_side": "right",
        "max_length": script.max_output_tokens,
        "model_memory_usage": "0.0000 GB",
    })
}

/// `GET /v1/launch_arguments`.
pub(super) fn launch_arguments(script: &Script) -> Value {
    json!({
        "model": script.model,
        "model_name": script.model,
        "seed": script.seed,
        "max_num_seqs": script.max_running,
        "max_model_len": script.max_output_tokens,
        "num_gpu_blocks_override": script.kv_cache_tokens,
        "block_size": 1,
        "api_key": null,
    })
}

/// `GET /version`.
pub(super) fn version() -> Value {
    json!({"version": VERSION})
}
