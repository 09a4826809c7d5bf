//! Which fields of a request's body options set, for each API: from the command line to the wire.
//! What depends on the request, its texts and lengths, is in `flags`.

use serde_json::{Value, json};

use crate::flags::sent;
use crate::process::shared;
use crate::providers::in_turn;

/// What a body has at a JSON pointer; `Null` for nothing.
type Place = (&'static str, Value);

/// Options, and what the body of a request has then.
fn rows() -> Vec<(&'static str, Vec<Place>)> {
    let mut rows = openai();
    rows.extend(fireworks());
    rows.extend(dialects());
    rows.extend(vectors());
    rows
}

fn openai() -> Vec<(&'static str, Vec<Place>)> {
    let nothing = [
        "/top_k",
        "/n",
        "/logprobs",
        "/top_logprobs",
        "/reasoning_effort",
        "/ignore_eos",
        "/min_tokens",
        "/prompt",
        "/prompt_cache_max_len",
        "/perf_metrics_in_response",
        "/forced_generation",
    ];
    let mut bare = vec![
        ("/model", json!("mock")),
        ("/max_tokens", json!(64)),
        ("/temperature", json!(1.0)),
        ("/stream", json!(true)),
        ("/stream_options", json!({"include_usage": true})),
        ("/messages/0/role", json!("user")),
        ("/messages/1", Value::Null),
    ];
    bare.extend(nothing.map(|place| (place, Value::Null)));
    vec![
        ("--provider openai", bare),
        (
            "--provider openai -m other",
            vec![("/model", json!("other"))],
        ),
        ("--provider openai -o 9", vec![("/max_tokens", json!(9))]),
        (
            "--provider openai --temperature 0.5",
            vec![("/temperature", json!(0.5))],
        ),
        (
            "--provider openai --temperature 0",
            vec![("/temperature", json!(0.0))],
        ),
        ("--provider openai --top-k 5", vec![("/top_k", json!(5))]),
        ("--provider openai --n 2", vec![("/n", json!(2))]),
        ("--provider openai -n 3 --no-chat", vec![("/n", json!(3))]),
        (
            "--provider openai --logprobs 2",
            vec![("/logprobs", json!(true)), ("/top_logprobs", json!(2))],
        ),
        (
            "--provider openai --logprobs 2 --no-chat",
            vec![("/logprobs", json!(2)), ("/top_logprobs", Value::Null)],
        ),
        (
            "--provider openai --reasoning-effort low",
            vec![("/reasoning_effort", json!("low"))],
        ),
        (
            "--provider openai --reasoning-effort none",
            vec![("/reasoning_effort", json!("none"))],
        ),
        (
            "--provider openai --no-stream",
            vec![("/stream", json!(false)), ("/stream_options", Value::Null)],
        ),
        (
            "--provider openai --no-chat --prompt-text Hello",
            vec![("/prompt", json!("Hello")), ("/messages", Value::Null)],
        ),
        (
            "--provider openai --prompt-text Hello",
            vec![("/messages", json!([{"role": "user", "content": "Hello"}]))],
        ),
    ]
}

fn fireworks() -> Vec<(&'static str, Vec<Place>)> {
    vec![
        ("--provider vllm", vec![("/ignore_eos", json!(true))]),
        ("--provider sglang", vec![("/ignore_eos", json!(true))]),
        (
            "--provider fireworks",
            vec![
                ("/perf_metrics_in_response", json!(true)),
                ("/prompt_cache_max_len", Value::Null),
                ("/min_tokens", Value::Null),
                ("/acceptance_probs_override", Value::Null),
                ("/forced_generation", Value::Null),
            ],
        ),
        (
            "--provider fireworks -pcml 7",
            vec![("/prompt_cache_max_len", json!(7))],
        ),
        (
            "--provider fireworks --no-chat -pcml 7",
            vec![
                ("/prompt_cache_max_len", json!(7)),
                ("/perf_metrics_in_response", json!(true)),
            ],
        ),
        (
            "--provider vllm -pcml 7",
            vec![("/prompt_cache_max_len", Value::Null)],
        ),
        (
            "--provider fireworks --force-min-tokens -o 9",
            vec![("/min_tokens", json!(9)), ("/max_tokens", json!(9))],
        ),
        (
            "--provider fireworks --acceptance-probs-override [0.5,1,0]",
            vec![("/acceptance_probs_override", json!([0.5, 1.0, 0.0]))],
        ),
        (
            "--provider fireworks --forced-generation-file said.txt --max-requests 1",
            vec![("/forced_generation", json!("one"))],
        ),
    ]
}

fn dialects() -> Vec<(&'static str, Vec<Place>)> {
    vec![
        (
            "--provider together --no-chat",
            vec![
                ("/ignore_eos", json!(true)),
                ("/stream_tokens", json!(true)),
                ("/stream", Value::Null),
            ],
        ),
        (
            "--provider tgi --top-k 5 --logprobs 2 -o 9 --temperature 0.5",
            vec![(
                "/parameters",
                json!({"max_new_tokens": 9, "details": true, "do_sample": true, "temperature": 0.5, "top_k": 5, "top_n_tokens": 2}),
            )],
        ),
        (
            "--provider triton-infer --no-chat --no-stream -o 9 --prompt-text Hello",
            vec![
                (
                    "/inputs/0",
                    json!({"name": "text_input", "datatype": "BYTES", "shape": [1, 1], "data": [["Hello"]]}),
                ),
                (
                    "/inputs/1",
                    json!({"name": "max_tokens", "datatype": "UINT32", "shape": [1, 1], "data": [[9]]}),
                ),
            ],
        ),
        (
            "--provider triton-generate --no-chat -o 9 --prompt-text Hello --temperature 0.5",
            vec![
                ("/text_input", json!("Hello")),
                ("/max_tokens", json!(9)),
                ("/stream", json!(true)),
                ("/temperature", json!(0.5)),
                ("/bad_words", json!("")),
                ("/stop_words", json!("")),
            ],
        ),
        (
            "--provider ollama -o 9 --temperature 0.5 --top-k 5",
            vec![
                ("/options/num_predict", json!(9)),
                ("/options/temperature", json!(0.5)),
                ("/options/top_k", json!(5)),
                ("/stream", json!(true)),
            ],
        ),
        (
            "--provider llama.cpp --no-chat -o 9 --top-k 5",
            vec![
                ("/n_predict", json!(9)),
                ("/ignore_eos", json!(true)),
                ("/top_k", json!(5)),
            ],
        ),
        (
            "--provider responses -o 9 --reasoning-effort low",
            vec![
                ("/max_output_tokens", json!(9)),
                ("/reasoning/effort", json!("low")),
                ("/store", json!(false)),
            ],
        ),
        (
            "--provider anthropic -o 9 --top-k 5",
            vec![("/max_tokens", json!(9)), ("/top_k", json!(5))],
        ),
    ]
}

fn vectors() -> Vec<(&'static str, Vec<Place>)> {
    vec![
        (
            "--provider openai --embeddings --prompt-text Hello",
            vec![
                ("/normalize", json!(false)),
                ("/dimensions", Value::Null),
                ("/prompt_template", Value::Null),
                ("/return_logits", Value::Null),
                ("/max_tokens", Value::Null),
                ("/stream", Value::Null),
            ],
        ),
        (
            "--provider openai --embeddings --normalize --embeddings-dimensions 8 --embeddings-prompt-template q:{text} --return-logits 3 4",
            vec![
                ("/normalize", json!(true)),
                ("/dimensions", json!(8)),
                ("/prompt_template", json!("q:{text}")),
                ("/return_logits", json!([3, 4])),
            ],
        ),
        (
            "--provider fireworks --embeddings --return-logits",
            vec![("/return_logits", json!([]))],
        ),
        (
            "--provider vllm --embeddings --normalize",
            vec![
                ("/use_activation", json!(true)),
                ("/normalize", Value::Null),
            ],
        ),
        (
            "--provider openai --rerank",
            vec![
                ("/query", json!("Find the most relevant document.")),
                ("/top_n", Value::Null),
                ("/return_documents", Value::Null),
                ("/max_tokens", Value::Null),
            ],
        ),
        (
            "--provider openai --rerank --rerank-query which --rerank-top-n 3 --no-rerank-return-documents",
            vec![
                ("/query", json!("which")),
                ("/top_n", json!(3)),
                ("/return_documents", json!(false)),
            ],
        ),
    ]
}

#[test]
fn options_stand_in_the_body_under_the_apis_own_names() {
    let _shared = shared();
    in_turn(&rows(), |(line, places)| {
        // A row may say otherwise.
        let bodies = sent(&format!("-u 1 --max-requests 2 {line}"));
        for body in &bodies {
            for (place, value) in places {
                let found = body.pointer(place).unwrap_or(&Value::Null);
                assert_eq!(found, value, "{line}: {place} in {body:#}");
            }
        }
    });
}
