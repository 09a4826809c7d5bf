//! Which family of which server tells what. Names alone: how a page is written is `page`'s matter.
//!
//! vLLM (`docs.vllm.ai`, "Production Metrics"): `kv_cache_usage_perc` has been `gpu_cache_usage_perc` up to 0.9; `happy_vllm` and
//! Triton's vLLM backend have the same names. SGLang (`docs.sglang.io`, "Production Metrics"): with `--enable-metrics`; the
//! separator was an underscore in some versions. TGI (`huggingface.co/docs/text-generation-inference`, "Metrics"): token counts are
//! the sums of two histograms, and nothing tells how full its cache is. llama.cpp (`tools/server/README.md`): with `--metrics`; what it
//! took from its cache is counted apart from the other prompt tokens, and the cache's share is gone from newer versions.
//! Triton (`docs.nvidia.com`, "Metrics"): of all models, and only what waits for a backend.

/// What a family tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Figure {
    Running,
    Waiting,
    Cache,
    PromptTokens,
    OutputTokens,
}

/// A kind of server: how its names begin, and its families.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) name: &'static str,
    /// Up to the separator, which is `:` or `_`.
    pub(super) prefix: &'static str,
    pub(super) families: &'static [(&'static str, Figure)],
}

use Figure::{Cache, OutputTokens, PromptTokens, Running, Waiting};

/// All of them; of two whose names are on one page, the one that tells more counts, else the one that stands first.
pub(super) const SERVERS: [Server; 5] = [
    Server {
        name: "vllm",
        prefix: "vllm",
        families: &[
            ("num_requests_running", Running),
            ("num_requests_waiting", Waiting),
            ("kv_cache_usage_perc", Cache),
            ("gpu_cache_usage_perc", Cache),
            ("prompt_tokens_total", PromptTokens),
            ("generation_tokens_total", OutputTokens),
        ],
    },
    Server {
        name: "sglang",
        prefix: "sglang",
        families: &[
            ("num_running_reqs", Running),
            ("num_queue_reqs", Waiting),
            ("token_usage", Cache),
            ("prompt_tokens_total", PromptTokens),
            ("generation_tokens_total", OutputTokens),
        ],
    },
    Server {
        name: "tgi",
        prefix: "tgi",
        families: &[
            ("batch_current_size", Running),
            ("queue_size", Waiting),
            ("request_input_length_sum", PromptTokens),
            ("request_generated_tokens_sum", OutputTokens),
        ],
    },
    Server {
        name: "llamacpp",
        prefix: "llamacpp",
        families: &[
            ("requests_processing", Running),
            ("requests_deferred", Waiting),
            ("kv_cache_usage_ratio", Cache),
            ("prompt_tokens_total", PromptTokens),
            ("prompt_tokens_cached_total", PromptTokens),
            ("tokens_predicted_total", OutputTokens),
        ],
    },
    Server {
        name: "triton",
        prefix: "nv",
        families: &[("inference_pending_request_count", Waiting)],
    },
];

/// Ranks whose processes work on the same requests: the first of each tells of all.
pub(super) const SAME_REQUESTS: [&str; 3] = ["tp_rank", "pp_rank", "moe_ep_rank"];
