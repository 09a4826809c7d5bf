//! JSON as Python writes it: with `NaN` and `Infinity`, which become `null`. It knows no file's keys.

use serde_json::Value;

/// The value of `text`.
pub(super) fn parse(text: &str) -> Result<Value, serde_json::Error> {
    serde_json::from_str(text).or_else(|error| {
        let plain = without_literals(text);
        plain.map_or(Err(error), |plain| serde_json::from_str(&plain))
    })
}

/// `text` with `null` in place of Python's literals; none where it has none of them outside of strings.
fn without_literals(text: &str) -> Option<String> {
    let (mut plain, mut rest) = (String::with_capacity(text.len()), text);
    let (mut is_string, mut found) = (false, false);
    while let Some(letter) = rest.chars().next() {
        let literal = ["NaN", "Infinity", "-Infinity"]
            .into_iter()
            .find(|literal| !is_string && rest.starts_with(literal));
        let taken = match literal {
            Some(literal) => {
                plain.push_str("null");
                found = true;
                literal.len()
            }
            None if is_string && letter == '\\' => {
                let both = rest.chars().take(2).map(char::len_utf8).sum();
                plain.push_str(rest.get(..both)?);
                both
            }
            None => {
                is_string ^= letter == '"';
                plain.push(letter);
                letter.len_utf8()
            }
        };
        rest = rest.get(taken..)?;
    }
    found.then_some(plain)
}

/// A finite number at `key`, also one that stands in a string.
pub(super) fn number(value: &Value, key: &str) -> Option<f64> {
    let value = value.get(key)?;
    let number = value
        .as_f64()
        .or_else(|| value.as_str()?.trim().parse().ok());
    number.filter(|number: &f64| number.is_finite())
}

/// A count at `key`.
pub(super) fn count(value: &Value, key: &str) -> Option<u64> {
    value.get(key)?.as_u64()
}

/// Words at `key`.
pub(super) fn words(value: &Value, key: &str) -> Option<String> {
    let words = value.get(key)?.as_str()?;
    (!words.is_empty()).then(|| words.to_owned())
}

/// A plain value in words; none for `null`.
pub(super) fn plain(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn pythons_literals_are_unknown_and_strings_stay() {
        let text = r#"{"a": NaN, "b": [-Infinity, Infinity], "c": "NaN \" NaN", "NaN": 1}"#;
        let want = json!({"a": null, "b": [null, null], "c": "NaN \" NaN", "NaN": 1});
        assert_eq!(parse(text).unwrap(), want);
        assert!(parse("{\"a\": nan}").is_err());
    }

    proptest! {
        #[test]
        fn any_string_survives(text in ".*") {
            let written = json!({"text": text}).to_string();
            let with = written.replace('}', ", \"n\": NaN}");
            if let Some(plain) = without_literals(&format!("{{\"t\": {}, \"n\": NaN}}", json!(text))) {
                let read: Value = serde_json::from_str(&plain).unwrap();
                prop_assert_eq!(read, json!({"t": text, "n": null}));
            } else {
                prop_assert!(false, "{}", with);
            }
        }
    }
}
