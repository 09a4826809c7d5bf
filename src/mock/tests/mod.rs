//! The mock as a client sees it: raw bytes over loopback, checked against its script and its own counts.

mod faults;
mod load;
mod others;
mod shape;
mod times;
mod wire;

use super::{MockHandle, Script, spawn_thread};

/// All at once: no test waits for tokens that it does not time.
fn at_once() -> Script {
    Script {
        ttft: "0ms".parse().unwrap(),
        inter_token: "0ms".parse().unwrap(),
        ..Script::default()
    }
}

fn start(script: Script) -> MockHandle {
    spawn_thread(script, 1).unwrap()
}

/// A chat that streams `tokens` tokens and asks for usage.
fn chat(tokens: u32) -> String {
    format!(
        r#"{{"model":"m","messages":[{{"role":"user","content":"one two three"}}],"max_tokens":{tokens},"stream":true,"stream_options":{{"include_usage":true}}}}"#
    )
}

const CHAT: &str = "/v1/chat/completions";
