//! MLflow's limits: which names it takes, how long a value may be, how much goes into one call. It sends nothing.
//! The figures are those of MLflow's REST reference for `runs/log-batch`.

use std::collections::BTreeSet;

use serde_json::{Value, json};

/// Parameters of a call.
const PARAMS: usize = 100;
/// Figures of a call; with parameters there may be no more than this together.
const METRICS: usize = 1000;
/// Characters of a parameter's value.
const VALUE_CHARS: usize = 6000;
/// Characters of a name.
const NAME_CHARS: usize = 250;
/// Bytes of a call's items; a call may have a million bytes in all.
const BYTES: usize = 900_000;

/// Parameters as the server takes them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fitted {
    pub(super) params: Vec<(String, String)>,
    /// What had to be changed, for people.
    pub(super) notes: Vec<String>,
}

/// Cuts values that are too long, and writes names with the characters that are taken.
pub(super) fn fit(params: &[(String, String)]) -> Fitted {
    let mut fitted = Fitted::default();
    let mut taken = BTreeSet::new();
    for (given, value) in params {
        let name = name(given);
        if !taken.insert(name.clone()) {
            let note = format!("the parameter `{given}` is left out: `{name}` is there already");
            fitted.notes.push(note);
            continue;
        }
        if name != *given {
            let note = format!("the parameter `{given}` is called `{name}`");
            fitted.notes.push(note);
        }
        let cut = cut(value, VALUE_CHARS);
        if cut.len() != value.len() {
            let note = format!("the parameter `{name}` is cut to {VALUE_CHARS} characters");
            fitted.notes.push(note);
        }
        fitted.params.push((name, cut.to_owned()));
    }
    fitted
}

/// A name with `_` in place of what the server would refuse. It takes slashes too, but only in some places.
fn name(given: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ' ');
    let name: String = given
        .chars()
        .map(|c| if plain(c) { c } else { '_' })
        .take(NAME_CHARS)
        .collect();
    match name.as_str() {
        "" | "." | ".." => "_".repeat(name.len().max(1)),
        _ => name,
    }
}

/// The beginning of `text`, at most `chars` characters.
fn cut(text: &str, chars: usize) -> &str {
    let end = text.char_indices().nth(chars);
    end.map_or(text, |(at, _)| &text[..at])
}

/// Calls of `log-batch` that log these parameters.
pub(super) fn param_batches(run_id: &str, params: &[(String, String)]) -> Vec<Value> {
    let items = params
        .iter()
        .map(|(key, value)| json!({"key": key, "value": value}))
        .collect();
    batches(run_id, "params", items, PARAMS)
}

/// Calls of `log-batch` that log these figures, all at one time. What is not a number is left out.
pub(super) fn metric_batches(run_id: &str, metrics: &[(String, f64)], time_ms: i64) -> Vec<Value> {
    let items = metrics
        .iter()
        .filter(|(_, value)| value.is_finite())
        .map(|(key, value)| json!({"key": name(key), "value": value, "timestamp": time_ms, "step": 0}))
        .collect();
    batches(run_id, "metrics", items, METRICS)
}

fn batches(run_id: &str, kind: &str, items: Vec<Value>, most: usize) -> Vec<Value> {
    let mut groups: Vec<Vec<Value>> = Vec::new();
    let mut bytes = 0;
    for item in items {
        let size = item.to_string().len() + 1;
        let full = |group: &Vec<Value>| group.len() == most || bytes + size > BYTES;
        match groups.last_mut().filter(|group| !full(group)) {
            Some(group) => {
                bytes += size;
                group.push(item);
            }
            None => {
                bytes = size;
                groups.push(vec![item]);
            }
        }
    }
    let body = |group| json!({"run_id": run_id, kind: group});
    groups.into_iter().map(body).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pair(key: &str, value: &str) -> (String, String) {
        (key.to_owned(), value.to_owned())
    }

    #[test]
    fn long_values_are_cut_by_characters_with_a_word_about_it() {
        let fitted = fit(&[pair("a", &"ä".repeat(6001)), pair("b", &"b".repeat(6000))]);
        assert_eq!(fitted.params[0].1, "ä".repeat(6000));
        assert_eq!(fitted.params[1].1.len(), 6000);
        assert_eq!(
            fitted.notes,
            ["the parameter `a` is cut to 6000 characters"]
        );
    }

    #[test]
    fn names_keep_what_the_server_takes() {
        let given = ["top_p", "größe 1.5-x", "a/b$c", "a_b_c", "..", ""];
        let params: Vec<_> = given.iter().map(|name| pair(name, "1")).collect();
        let fitted = fit(&params);
        let names: Vec<_> = fitted
            .params
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(names, ["top_p", "größe 1.5-x", "a_b_c", "__", "_"]);
        assert_eq!(fitted.notes.len(), 4, "{:?}", fitted.notes);
        assert!(fitted.notes[1].contains("`a_b_c` is left out"));
    }

    #[test]
    fn what_is_not_a_number_is_left_out() {
        let metrics = [
            ("a", 0.5),
            ("b", f64::NAN),
            ("c", f64::INFINITY),
            ("d", 3.0),
        ];
        let metrics = metrics.map(|(key, value)| (key.to_owned(), value));
        let calls = metric_batches("r", &metrics, 12);
        assert_eq!(
            calls,
            [json!({"run_id": "r", "metrics": [
                {"key": "a", "value": 0.5, "timestamp": 12, "step": 0},
                {"key": "d", "value": 3.0, "timestamp": 12, "step": 0},
            ]})]
        );
        assert_eq!(metric_batches("r", &metrics[1..3], 12), Vec::<Value>::new());
    }

    #[test]
    fn a_call_stays_below_a_million_bytes() {
        let params: Vec<_> = (0..100)
            .map(|n| pair(&format!("p{n}"), &"\u{1}".repeat(6000)))
            .collect();
        let calls = param_batches("r", &fit(&params).params);
        assert!(calls.len() > 1);
        assert!(calls.iter().all(|call| call.to_string().len() < 1_000_000));
    }

    proptest! {
        #[test]
        fn batches_hold_everything_in_order_and_no_more_than_allowed(count in 0_usize..450) {
            let params: Vec<_> = (0..count).map(|n| pair(&format!("p{n}"), "v")).collect();
            let calls = param_batches("r", &params);
            prop_assert!(calls.iter().all(|call| call["run_id"] == "r"));
            let sizes: Vec<_> = calls.iter().map(|call| call["params"].as_array().unwrap().len()).collect();
            prop_assert!(sizes.iter().all(|size| (1..=100).contains(size)));
            prop_assert_eq!(calls.len(), count.div_ceil(100));
            let keys: Vec<_> = calls.iter().flat_map(|call| call["params"].as_array().unwrap())
                .map(|item| item["key"].as_str().unwrap().to_owned()).collect();
            let wanted: Vec<_> = params.into_iter().map(|(key, _)| key).collect();
            prop_assert_eq!(keys, wanted);
        }
    }
}
