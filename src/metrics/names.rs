//! The names of metrics that there are several of, made when this program is compiled.
//! What they are names of stands in `metric`.

macro_rules! names {
    ($before:literal, $after:literal, [$($number:literal)+]) => {
        [$(concat!($before, $number, $after)),+]
    };
}

macro_rules! per_position {
    ($after:literal) => {
        names!(
            "speculation_hit_rate_position_",
            $after,
            ["0" "1" "2" "3" "4" "5" "6" "7" "8" "9" "10" "11" "12" "13" "14" "15" "16"]
        )
    };
}

macro_rules! per_turn {
    ($before:literal, $after:literal) => {
        names!($before, $after, ["1" "2" "3" "4" "5" "6" "7" "8" "9" "10" "11+"])
    };
}

pub(super) const HIT_RATES: [&str; 17] = per_position!("");
pub(super) const HIT_RATE_KEYS: [&str; 17] = per_position!("_percent");
pub(super) const TURN_LABELS: [&str; 11] = per_turn!("", "");
pub(super) const TURN_TTFTS: [&str; 11] = per_turn!("turn_", "_time_to_first_token");
pub(super) const TURN_TTFT_KEYS: [&str; 11] = per_turn!("turn_", "_ttft_ms");
pub(super) const TURN_LATENCIES: [&str; 11] = per_turn!("turn_", "_latency");
pub(super) const TURN_LATENCY_KEYS: [&str; 11] = per_turn!("turn_", "_latency_ms");
pub(super) const TURN_PROMPTS: [&str; 11] = per_turn!("turn_", "_prompt_tokens");
