//! The report's data files, under the upstream tool's names and keys. Text is made of them elsewhere.

use std::fmt::Write;

use serde_json::{Map, Value, json};

use super::ingestion::Ingestion;
use super::speed::{Middle, Pair};
use super::total::{Sum, Total};

/// What `prompt_ingestion_graph_data.json` has: the slope and the intercept, and the points that the line is drawn through.
pub(super) fn ingestion(ingestion: &Ingestion) -> Value {
    let lengths = ingestion
        .points
        .iter()
        .map(|point| crate::serving::stats::whole(point.0));
    let times = ingestion.points.iter().map(|point| point.1);
    json!({
        "fit_coefficients": [ingestion.line.slope, ingestion.line.intercept],
        "prompt_lengths": lengths.collect::<Vec<u64>>(),
        "times_to_first_token": times.collect::<Vec<f64>>(),
    })
}

/// What `speed_generation_graph_data_input_{I}_output_{O}.json` has: by the number of requests, how far the quarters are from
/// the median, and the median between them.
pub(super) fn speed(pair: &Pair) -> Map<String, Value> {
    let around = |it: Middle| json!([it.median - it.low, it.median, it.high - it.median]);
    let level = |level: &super::speed::Level| {
        let cache = level.cache.map_or_else(|| Value::from(-1), Value::from);
        let value = json!({
            "speed_generation": around(level.speed),
            "time_to_first_token": around(level.ttft),
            "max_kv_cache": cache,
            "parallel_requests_nb": level.parallel,
            "speed_without_waiting_time": around(level.without_waiting),
        });
        (level.parallel.to_string(), value)
    };
    pair.levels.iter().map(level).collect()
}

/// What `total_speed_generation_graph_data.json` has: the pairs by their places.
pub(super) fn totals(totals: &[Total]) -> Map<String, Value> {
    let level = |sum: &Sum| {
        json!({
            "nb_parallel_requests": sum.parallel,
            "total_time": sum.total_time,
            "actual_total_time": sum.actual_total_time,
            "total_number_of_generated_tokens": sum.tokens,
            "speed": sum.speed,
        })
    };
    let pair = |(place, total): (usize, &Total)| {
        let levels: Vec<Value> = total.levels.iter().map(level).collect();
        let value = json!({
            "data": levels,
            "input_length": total.input,
            "output_length": total.output,
        });
        (place.to_string(), value)
    };
    totals.iter().enumerate().map(pair).collect()
}

/// What `thresholds.csv` has; without the column of the cache where no pair has one.
pub(super) fn thresholds(pairs: &[Pair]) -> String {
    let has_cache = pairs.iter().any(|pair| pair.cache.is_some());
    let mut text = String::from("speed_threshold,");
    text.push_str(if has_cache { "kv_cache_threshold," } else { "" });
    text.push_str("input_length,output_length\n");
    for pair in pairs {
        let cache = pair
            .cache
            .map_or_else(String::new, |it| it.largest.to_string());
        let cache = if has_cache {
            format!("{cache},")
        } else {
            cache
        };
        // Writing to a text cannot fail.
        let _ = writeln!(
            text,
            "{},{cache}{},{}",
            pair.speed.largest, pair.input, pair.output
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::speed::tests::{pair, plain};
    use super::*;

    #[test]
    fn thresholds_have_the_upstream_tools_columns() {
        let told = pair(vec![plain(1, 30.0, Some(0.5)), plain(2, 25.0, Some(0.99))]);
        let silent = pair(vec![plain(1, 30.0, None)]);
        insta::assert_snapshot!(thresholds(&[told, silent.clone()]), @r#"
        speed_threshold,kv_cache_threshold,input_length,output_length
        2,1,32,16
        1,,32,16
        "#);
        insta::assert_snapshot!(thresholds(&[silent]), @r#"
        speed_threshold,input_length,output_length
        1,32,16
        "#);
    }

    #[test]
    fn a_level_is_told_by_how_far_its_quarters_are() {
        let told = pair(vec![plain(10, 30.0, None)]);
        insta::assert_snapshot!(serde_json::to_string(&speed(&told)).unwrap(), @r#"{"10":{"speed_generation":[3.0,30.0,6.0],"time_to_first_token":[0.09999999999999998,1.0,0.19999999999999996],"max_kv_cache":-1,"parallel_requests_nb":10,"speed_without_waiting_time":[4.5,45.0,9.0]}}"#);
    }
}
