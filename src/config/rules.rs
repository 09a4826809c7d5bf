//! Which options exclude or need each other, by name alone. What follows from their values is in `contradictions`.

/// Options that exclude each other: the one from the stronger layer stands, in one layer it is an error.
pub(super) const EXCLUSIVE: &[(&str, &str)] = &[
    ("prompt_text", "prompt_tokens"),
    ("prompt_text", "prompt_cache_max_len"),
    ("prompt_text", "prefix_groups"),
    ("prompt_text", "prompt"),
    ("prompt_text", "dataset"),
    ("burst", "qps"),
    ("burst", "stages"),
    ("burst", "ramping_time"),
    ("stages", "qps"),
    ("stages", "ramping_time"),
    ("embeddings", "rerank"),
    ("forced_generation_from_dataset", "forced_generation_file"),
    ("mock", "host"),
    ("master", "master_host"),
    ("master", "master_port"),
    ("no_journal", "journal"),
    ("enable_rebalancing", "on_worker_loss"),
    ("web", "headless"),
    ("web", "journal"),
    // One that stays has its page for as long as it does.
    ("stay", "prometheus_linger"),
];

/// Flags among them: one that a layer switches off excludes nothing.
pub(super) const EXCLUSIVE_FLAGS: &[&str] = &[
    "mock",
    "no_journal",
    "enable_rebalancing",
    "embeddings",
    "forced_generation_from_dataset",
    "web",
    "headless",
    "stay",
];

/// Options that mean nothing without one of others. In a file they may stand ready for it.
pub(super) const NEEDS: &[(&str, &[&str])] = &[
    ("qps_distribution", &["qps", "stages"]),
    ("burstiness", &["qps_distribution"]),
    ("ramping_warmup_time", &["ramping_time"]),
    ("ramping_curve", &["ramping_time"]),
    ("trace_speed", &["dataset"]),
    ("dataset_format", &["dataset"]),
    ("dataset_column", &["dataset"]),
    ("dataset_shuffle_seed", &["dataset"]),
    ("dataset_limit", &["dataset"]),
    ("prompt_letters", &["dataset"]),
    ("prefix_groups", &["prompt_cache_max_len"]),
    (
        "prompt_images_positioning",
        &["prompt_images_with_resolutions"],
    ),
    ("embeddings_batch_size", &["embeddings"]),
    ("embeddings_dimensions", &["embeddings"]),
    ("embeddings_prompt_template", &["embeddings"]),
    ("return_logits", &["embeddings"]),
    ("normalize", &["embeddings"]),
    ("rerank_query", &["rerank"]),
    ("rerank_top_n", &["rerank"]),
    ("rerank_return_documents", &["rerank"]),
    ("num_documents", &["rerank"]),
    ("tokens_per_document", &["rerank"]),
    ("forced_generation_from_dataset", &["tokenizer"]),
    ("csv_full_history", &["csv"]),
    ("server_metrics_step", &["server_metrics"]),
    ("prometheus_linger", &["prometheus"]),
    ("pghost", DATABASE),
    ("pgport", DATABASE),
    ("pguser", DATABASE),
    ("pgpassword", DATABASE),
    ("pgdatabase", DATABASE),
    ("pg_schema", DATABASE),
    ("pg_spool", DATABASE),
    ("pg_spool_max", DATABASE),
    ("pg_requests", DATABASE),
    ("otlp_header", &["otlp"]),
    ("otlp_step", &["otlp"]),
    ("trace_sample", &["otlp"]),
    ("web_host", &["web"]),
    ("web_port", &["web"]),
    ("web_token_file", &["web"]),
    ("autostart", &["web"]),
    ("autoquit", &["web"]),
];

/// What asks for a database.
const DATABASE: &[&str] = &["pg_url", "timescale"];
