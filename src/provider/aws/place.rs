//! Where Amazon's APIs have the fields of a row, which speaks as `OpenAI`'s API does.
//! Each API says what it calls them; nothing is merged here.

use serde_json::{Map, Value};

/// Where the fields of a row go.
#[derive(Clone, Copy, Debug)]
pub(in crate::provider) struct Places {
    /// Fields that the API has at the top, as they are.
    pub(in crate::provider) top: &'static [&'static str],
    /// What the API calls other fields.
    pub(in crate::provider) names: &'static [(&'static str, &'static str)],
    /// The object that those stand in; `None` for the top.
    pub(in crate::provider) named_in: Option<&'static str>,
    /// The object that all further fields stand in; `None` for the top.
    pub(in crate::provider) rest_in: Option<&'static str>,
}

impl Places {
    /// The fields of `row` where the API has them. How an answer comes is said by the path.
    pub(in crate::provider) fn place(&self, row: &Map<String, Value>) -> Map<String, Value> {
        let mut placed = Map::new();
        for (field, value) in row {
            let named = self.names.iter().find(|(name, _)| name == field);
            match named {
                _ if field == "stream" => {}
                _ if self.top.contains(&field.as_str()) => {
                    put(&mut placed, None, field, value.clone());
                }
                Some((_, own)) if value.is_null() && is_length(own) => {}
                Some((_, own)) => put(&mut placed, self.named_in, own, listed(own, value)),
                None => put(&mut placed, self.rest_in, field, value.clone()),
            }
        }
        placed
    }
}

fn is_length(name: &str) -> bool {
    name.to_ascii_lowercase().starts_with("max")
}

/// Stop sequences are a list here; rows may have a single one.
fn listed(name: &str, value: &Value) -> Value {
    match value {
        Value::String(_) if name.to_ascii_lowercase().contains("sequences") => {
            Value::Array(vec![value.clone()])
        }
        _ => value.clone(),
    }
}

fn put(fields: &mut Map<String, Value>, place: Option<&str>, name: &str, value: Value) {
    let inside = place.map(|place| {
        fields
            .entry(place)
            .or_insert_with(|| Value::Object(Map::new()))
    });
    match inside {
        Some(Value::Object(inside)) => {
            inside.entry(name).or_insert(value);
        }
        // What the row has in that place itself is no object, and stands.
        Some(_) => {}
        None => match (fields.get_mut(name), value) {
            (Some(Value::Object(before)), Value::Object(own)) => before.extend(own),
            (_, value) => {
                fields.insert(name.to_owned(), value);
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const PLACES: Places = Places {
        top: &["system", "config"],
        names: &[
            ("max_tokens", "maxTokens"),
            ("stop", "stopSequences"),
            ("top_p", "topP"),
        ],
        named_in: Some("config"),
        rest_in: Some("more"),
    };

    fn placed(row: &Value) -> Value {
        Value::Object(PLACES.place(row.as_object().unwrap()))
    }

    #[test]
    fn fields_stand_where_the_api_has_them_under_its_names() {
        let row = json!({"max_tokens": 7, "top_p": 0.5, "stop": "x", "seed": 3, "stream": true, "system": [1]});
        assert_eq!(
            placed(&row),
            json!({"config": {"maxTokens": 7, "topP": 0.5, "stopSequences": ["x"]}, "more": {"seed": 3}, "system": [1]})
        );
    }

    #[test]
    fn what_a_row_has_in_the_apis_own_place_stands() {
        let either = [
            json!({"top_p": 0.5, "config": {"topP": 0.9}, "max_tokens": null}),
            json!({"config": {"topP": 0.9}, "top_p": 0.5}),
        ];
        for row in either {
            assert_eq!(placed(&row), json!({"config": {"topP": 0.9}}));
        }
        assert_eq!(
            placed(&json!({"config": 1, "top_p": 0.5})),
            json!({"config": 1})
        );
    }
}
