//! Each of LiteLLM's prefixes that says no more than where a model is: keys, addresses, and which API is spoken there.
//! It holds facts alone; what depends on a region or on the model's name is in `clouds`.

use crate::provider::Kind;

/// A server, or a family of them.
#[derive(Debug)]
pub(super) struct Row {
    /// What stands before the slash.
    pub(super) prefix: &'static str,
    /// Variables that the key is in; the first that is set counts.
    pub(super) keys: &'static [&'static str],
    /// Whether nothing is answered without a key.
    pub(super) needs_key: bool,
    /// Variables that the address is in; the first that is set counts.
    pub(super) bases: &'static [&'static str],
    /// The usual address; `None` where there is none and a variable must name it.
    pub(super) base: Option<&'static str>,
    /// The API.
    pub(super) kind: Kind,
    /// Texts are gone on with there, instead of chats.
    pub(super) completes: bool,
    /// It refuses `stream_options`, or says nothing of it.
    pub(super) no_stream_options: bool,
    /// What goes before a model's name that does not begin with an account.
    pub(super) path: Option<&'static str>,
}

type Names = &'static [&'static str];

/// A server that speaks like `OpenAI`'s and wants a key.
const fn at(prefix: &'static str, keys: Names, bases: Names, base: &'static str) -> Row {
    Row {
        base: Some(base),
        ..anywhere(prefix, keys, bases)
    }
}

/// The same without a usual address.
const fn anywhere(prefix: &'static str, keys: Names, bases: Names) -> Row {
    Row {
        prefix,
        keys,
        needs_key: true,
        bases,
        base: None,
        kind: Kind::OpenAi,
        completes: false,
        no_stream_options: false,
        path: None,
    }
}

/// llmperf's own `openai`: both variables must be set.
pub(super) const OPENAI: Row = anywhere("openai", &["OPENAI_API_KEY"], &["OPENAI_API_BASE"]);

/// A LiteLLM proxy, which knows all prefixes itself.
pub(super) const PROXY: Row = Row {
    needs_key: false,
    ..anywhere("", &[super::PROXY_KEY], &[super::PROXY_BASE])
};

/// The row of a prefix.
pub(super) fn row(prefix: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.prefix == prefix)
}

/// All rows, by prefix.
#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    Row { no_stream_options: true, ..at("ai21", &["AI21_API_KEY"], &["AI21_API_BASE"], "https://api.ai21.com/studio/v1") },
    Row { no_stream_options: true, ..at("ai21_chat", &["AI21_API_KEY"], &["AI21_API_BASE"], "https://api.ai21.com/studio/v1") },
    at("aiml", &["AIML_API_KEY"], &["AIML_API_BASE"], "https://api.aimlapi.com/v1"),
    Row {
        kind: Kind::Anthropic,
        ..at("anthropic", &["ANTHROPIC_API_KEY"], &["ANTHROPIC_API_BASE", "ANTHROPIC_BASE_URL"], "https://api.anthropic.com")
    },
    at("anyscale", &["ANYSCALE_API_KEY"], &["ANYSCALE_API_BASE"], "https://api.endpoints.anyscale.com/v1"),
    anywhere("azure_ai", &["AZURE_AI_API_KEY"], &["AZURE_AI_API_BASE"]),
    at("baseten", &["BASETEN_API_KEY"], &["BASETEN_API_BASE"], "https://inference.baseten.co/v1"),
    Row {
        no_stream_options: true,
        ..at("cerebras", &["CEREBRAS_API_KEY"], &["CEREBRAS_API_BASE"], "https://api.cerebras.ai/v1")
    },
    at("chutes", &["CHUTES_API_KEY"], &["CHUTES_API_BASE"], "https://llm.chutes.ai/v1"),
    Row {
        no_stream_options: true,
        ..at("codestral", &["CODESTRAL_API_KEY"], &["CODESTRAL_API_BASE"], "https://codestral.mistral.ai/v1")
    },
    Row {
        no_stream_options: true,
        ..at("cohere", &["COHERE_API_KEY", "CO_API_KEY"], &["COHERE_API_BASE"], "https://api.cohere.ai/compatibility/v1")
    },
    Row {
        no_stream_options: true,
        ..at("cohere_chat", &["COHERE_API_KEY", "CO_API_KEY"], &["COHERE_API_BASE"], "https://api.cohere.ai/compatibility/v1")
    },
    at("cometapi", &["COMETAPI_KEY"], &["COMETAPI_API_BASE"], "https://api.cometapi.com/v1"),
    Row { needs_key: false, ..anywhere("custom_openai", &["OPENAI_API_KEY"], &["OPENAI_API_BASE", "OPENAI_BASE_URL"]) },
    at("dashscope", &["DASHSCOPE_API_KEY"], &["DASHSCOPE_API_BASE"], "https://dashscope.aliyuncs.com/compatible-mode/v1"),
    Row { no_stream_options: true, ..anywhere("databricks", &["DATABRICKS_API_KEY"], &["DATABRICKS_API_BASE"]) },
    Row {
        no_stream_options: true,
        ..at("deepinfra", &["DEEPINFRA_API_KEY"], &["DEEPINFRA_API_BASE"], "https://api.deepinfra.com/v1/openai")
    },
    at("deepseek", &["DEEPSEEK_API_KEY"], &["DEEPSEEK_API_BASE"], "https://api.deepseek.com/beta"),
    Row {
        needs_key: false,
        ..at(
            "docker_model_runner",
            &["DOCKER_MODEL_RUNNER_API_KEY"],
            &["DOCKER_MODEL_RUNNER_API_BASE"],
            "http://localhost:22088/engines/llama.cpp",
        )
    },
    at("empower", &["EMPOWER_API_KEY"], &["EMPOWER_API_BASE"], "https://app.empower.dev/api/v1"),
    Row {
        no_stream_options: true,
        ..at(
            "featherless_ai",
            &["FEATHERLESS_AI_API_KEY", "FEATHERLESS_API_KEY"],
            &["FEATHERLESS_AI_API_BASE", "FEATHERLESS_API_BASE"],
            "https://api.featherless.ai/v1",
        )
    },
    Row {
        kind: Kind::Fireworks,
        path: Some("accounts/fireworks/models/"),
        ..at(
            "fireworks_ai",
            &["FIREWORKS_API_KEY", "FIREWORKS_AI_API_KEY", "FIREWORKSAI_API_KEY", "FIREWORKS_AI_TOKEN"],
            &["FIREWORKS_API_BASE"],
            "https://api.fireworks.ai/inference/v1",
        )
    },
    at(
        "friendliai",
        &["FRIENDLIAI_API_KEY", "FRIENDLI_TOKEN"],
        &["FRIENDLI_API_BASE"],
        "https://api.friendli.ai/serverless/v1",
    ),
    at("galadriel", &["GALADRIEL_API_KEY"], &["GALADRIEL_API_BASE"], "https://api.galadriel.com/v1"),
    at("github", &["GITHUB_API_KEY"], &["GITHUB_API_BASE"], "https://models.inference.ai.azure.com"),
    at("groq", &["GROQ_API_KEY"], &["GROQ_API_BASE"], "https://api.groq.com/openai/v1"),
    at("helicone", &["HELICONE_API_KEY"], &["HELICONE_API_BASE"], "https://ai-gateway.helicone.ai"),
    Row { needs_key: false, kind: Kind::Vllm, ..anywhere("hosted_vllm", &["HOSTED_VLLM_API_KEY"], &["HOSTED_VLLM_API_BASE"]) },
    Row {
        no_stream_options: true,
        ..at("hyperbolic", &["HYPERBOLIC_API_KEY"], &["HYPERBOLIC_API_BASE"], "https://api.hyperbolic.xyz/v1")
    },
    at("inception", &["INCEPTION_API_KEY"], &["INCEPTION_API_BASE"], "https://api.inceptionlabs.ai/v1"),
    at("lambda_ai", &["LAMBDA_API_KEY"], &["LAMBDA_API_BASE"], "https://api.lambda.ai/v1"),
    Row { needs_key: false, ..anywhere("litellm_proxy", &["LITELLM_PROXY_API_KEY"], &["LITELLM_PROXY_API_BASE"]) },
    Row { needs_key: false, ..at("llamafile", &["LLAMAFILE_API_KEY"], &["LLAMAFILE_API_BASE"], "http://127.0.0.1:8080/v1") },
    at("llamagate", &["LLAMAGATE_API_KEY"], &["LLAMAGATE_API_BASE"], "https://api.llamagate.dev/v1"),
    Row { needs_key: false, ..anywhere("lm_studio", &["LM_STUDIO_API_KEY"], &["LM_STUDIO_API_BASE"]) },
    at("meta_llama", &["LLAMA_API_KEY"], &["LLAMA_API_BASE"], "https://api.llama.com/compat/v1"),
    at("minimax", &["MINIMAX_API_KEY"], &["MINIMAX_API_BASE"], "https://api.minimax.io/v1"),
    Row {
        no_stream_options: true,
        ..at(
            "mistral",
            &["MISTRAL_API_KEY", "MISTRAL_AZURE_API_KEY"],
            &["MISTRAL_API_BASE", "MISTRAL_AZURE_API_BASE"],
            "https://api.mistral.ai/v1",
        )
    },
    at("modelscope", &["MODELSCOPE_API_KEY"], &["MODELSCOPE_API_BASE"], "https://api-inference.modelscope.cn/v1"),
    at("moonshot", &["MOONSHOT_API_KEY"], &["MOONSHOT_API_BASE"], "https://api.moonshot.ai/v1"),
    Row { no_stream_options: true, ..at("morph", &["MORPH_API_KEY"], &["MORPH_API_BASE"], "https://api.morphllm.com/v1") },
    at("nano-gpt", &["NANOGPT_API_KEY"], &["NANOGPT_API_BASE"], "https://nano-gpt.com/api/v1"),
    at("nebius", &["NEBIUS_API_KEY"], &["NEBIUS_API_BASE"], "https://api.studio.nebius.ai/v1"),
    at("novita", &["NOVITA_API_KEY"], &["NOVITA_API_BASE"], "https://api.novita.ai/v3/openai"),
    Row {
        no_stream_options: true,
        ..at("nscale", &["NSCALE_API_KEY"], &["NSCALE_API_BASE"], "https://inference.api.nscale.com/v1")
    },
    Row {
        no_stream_options: true,
        ..at("nvidia_nim", &["NVIDIA_NIM_API_KEY"], &["NVIDIA_NIM_API_BASE"], "https://integrate.api.nvidia.com/v1")
    },
    Row {
        needs_key: false, kind: Kind::Ollama, completes: true,
        ..at("ollama", &["OLLAMA_API_KEY"], &["OLLAMA_API_BASE"], "http://localhost:11434")
    },
    Row {
        needs_key: false, kind: Kind::Ollama,
        ..at("ollama_chat", &["OLLAMA_API_KEY"], &["OLLAMA_API_BASE"], "http://localhost:11434")
    },
    at("openai", &["OPENAI_API_KEY"], &["OPENAI_API_BASE", "OPENAI_BASE_URL"], "https://api.openai.com/v1"),
    Row { needs_key: false, ..anywhere("openai_like", &["OPENAI_LIKE_API_KEY"], &["OPENAI_LIKE_API_BASE"]) },
    at("openrouter", &["OPENROUTER_API_KEY", "OR_API_KEY"], &["OPENROUTER_API_BASE"], "https://openrouter.ai/api/v1"),
    at("ovhcloud", &["OVHCLOUD_API_KEY"], &["OVHCLOUD_API_BASE"], "https://oai.endpoints.kepler.ai.cloud.ovh.net/v1"),
    Row {
        no_stream_options: true,
        ..at(
            "perplexity",
            &["PERPLEXITYAI_API_KEY", "PERPLEXITY_API_KEY"],
            &["PERPLEXITY_API_BASE"],
            "https://api.perplexity.ai",
        )
    },
    at("poe", &["POE_API_KEY"], &["POE_API_BASE"], "https://api.poe.com/v1"),
    at("publicai", &["PUBLICAI_API_KEY"], &["PUBLICAI_API_BASE"], "https://api.publicai.co/v1"),
    at("sambanova", &["SAMBANOVA_API_KEY"], &["SAMBANOVA_API_BASE"], "https://api.sambanova.ai/v1"),
    at("scaleway", &["SCW_SECRET_KEY"], &["SCW_API_BASE"], "https://api.scaleway.ai/v1"),
    at("synthetic", &["SYNTHETIC_API_KEY"], &["SYNTHETIC_API_BASE"], "https://api.synthetic.new/openai/v1"),
    Row {
        completes: true,
        ..at(
            "text-completion-openai",
            &["OPENAI_API_KEY"],
            &["OPENAI_API_BASE", "OPENAI_BASE_URL"],
            "https://api.openai.com/v1",
        )
    },
    at(
        "together_ai",
        &["TOGETHERAI_API_KEY", "TOGETHER_API_KEY", "TOGETHER_AI_API_KEY", "TOGETHER_AI_TOKEN"],
        &["TOGETHER_AI_API_BASE"],
        "https://api.together.ai/v1",
    ),
    Row { no_stream_options: true, ..at("v0", &["V0_API_KEY"], &["V0_API_BASE"], "https://api.v0.dev/v1") },
    at(
        "vercel_ai_gateway",
        &["VERCEL_AI_GATEWAY_API_KEY", "VERCEL_OIDC_TOKEN"],
        &["VERCEL_AI_GATEWAY_API_BASE"],
        "https://ai-gateway.vercel.sh/v1",
    ),
    at("volcengine", &["VOLCENGINE_API_KEY"], &["VOLCENGINE_API_BASE"], "https://ark.cn-beijing.volces.com/api/v3"),
    at("wandb", &["WANDB_API_KEY"], &["WANDB_API_BASE"], "https://api.inference.wandb.ai/v1"),
    at("xai", &["XAI_API_KEY"], &["XAI_API_BASE"], "https://api.x.ai/v1"),
    at("xiaomi_mimo", &["XIAOMI_MIMO_API_KEY"], &["XIAOMI_MIMO_API_BASE"], "https://api.xiaomimimo.com/v1"),
    at("zai", &["ZAI_API_KEY"], &["ZAI_API_BASE"], "https://api.z.ai/api/paas/v4"),
];
