//! Where the fields of a data set's row stand in a request: rows speak as `OpenAI`'s API does, other APIs have other places.
//! It merges nothing, and touches no field that has the same name everywhere.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use super::{Kind, ShapeError};

/// What rows call the length of an answer. The ask has it already, and every API its own name for it.
pub(crate) const LENGTHS: [&str; 2] = ["max_tokens", "max_completion_tokens"];

/// Fields that Ollama has by the same names, in `options`.
const OF_OPTIONS: [&str; 7] = [
    "temperature",
    "top_k",
    "top_p",
    "seed",
    "stop",
    "presence_penalty",
    "frequency_penalty",
];

/// Fields that TGI has by the same names, in `parameters`.
const OF_PARAMETERS: [&str; 5] = ["temperature", "top_k", "top_p", "seed", "frequency_penalty"];

/// What Google's models call what rows call otherwise.
const IN_CAMEL_CASE: [(&str, &str); 9] = [
    ("max_tokens", "maxOutputTokens"),
    ("max_completion_tokens", "maxOutputTokens"),
    ("max_new_tokens", "maxOutputTokens"),
    ("top_k", "topK"),
    ("top_p", "topP"),
    ("n", "candidateCount"),
    ("stop", "stopSequences"),
    ("presence_penalty", "presencePenalty"),
    ("frequency_penalty", "frequencyPenalty"),
];

/// Fields that Gemini has in `generationConfig`.
const OF_GENERATION_CONFIG: [&str; 9] = [
    "temperature",
    "maxOutputTokens",
    "topK",
    "topP",
    "candidateCount",
    "stopSequences",
    "seed",
    "presencePenalty",
    "frequencyPenalty",
];

/// Refuses what would be read otherwise than it was asked for, or by nobody.
pub(crate) fn check_row(
    kind: Kind,
    stream: bool,
    row: &Map<String, Value>,
) -> Result<(), ShapeError> {
    let refused = |field, why| Err(ShapeError::Row { kind, field, why });
    for field in ["stream", "stream_tokens"] {
        let own = match (kind, field) {
            (_, "stream") | (Kind::Together, _) => row.get(field),
            _ => None,
        };
        let differs = match own {
            None => false,
            // What `null` means there is for who described it to know.
            Some(Value::Null) => kind != Kind::Custom,
            Some(value) => *value != Value::Bool(stream),
        };
        if differs {
            let why = "answers are read as --stream or --no-stream says; leave it out of the rows";
            return refused(field, why);
        }
    }
    let unplaced = ["temperature", "top_k"];
    let unplaced = unplaced.into_iter().find(|field| row.contains_key(*field));
    match unplaced {
        Some(field) if kind == Kind::TritonInfer => {
            refused(field, "it takes tensors, which rows cannot add")
        }
        _ => Ok(()),
    }
}

/// The fields of `row` as an API of this kind has them.
pub(super) fn place_row_fields(
    kind: Kind,
    row: &Map<String, Value>,
) -> Cow<'_, Map<String, Value>> {
    let mut row = Cow::Borrowed(row);
    match kind {
        Kind::OpenAi
        | Kind::Anyscale
        | Kind::Fireworks
        | Kind::Vllm
        | Kind::SgLang
        | Kind::Together
        | Kind::Azure
        | Kind::Anthropic
        | Kind::Custom
        | Kind::SageMaker
        | Kind::Bedrock
        | Kind::BedrockInvoke
        | Kind::VertexAnthropic => {}
        Kind::Gemini => {
            without_lengths(&mut row);
            rename(&mut row, &IN_CAMEL_CASE);
            listed(&mut row, "stopSequences");
            sink(&mut row, "generationConfig", &OF_GENERATION_CONFIG);
        }
        Kind::VertexPredict => {
            without_lengths(&mut row);
            rename(&mut row, &IN_CAMEL_CASE);
            let known = |name: &str| matches!(name, "instances" | "parameters" | "labels");
            let names: Vec<String> = row.keys().filter(|name| !known(name)).cloned().collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            sink(&mut row, "parameters", &names);
        }
        Kind::Responses | Kind::LlamaCpp | Kind::TritonInfer | Kind::TritonGenerate => {
            without_lengths(&mut row);
        }
        Kind::Ollama => {
            without_lengths(&mut row);
            sink(&mut row, "options", &OF_OPTIONS);
        }
        Kind::Tgi => {
            without_lengths(&mut row);
            sink(&mut row, "parameters", &OF_PARAMETERS);
            sample(&mut row);
        }
    }
    row
}

/// In a chat `OpenAI`'s models that reason take `max_completion_tokens`, and refuse a request that has `max_tokens` beside it:
/// where `extra` names the one, the ask's own length is left out; likewise where it says `null`, which asks for no length.
pub(super) fn keep_one_length(
    kind: Kind,
    body: &mut Map<String, Value>,
    extra: &Map<String, Value>,
) {
    let [old, new] = LENGTHS;
    let gives_way = match extra.get(old) {
        Some(own) => own.is_null(),
        None => extra.get(new).is_some_and(|own| !own.is_null()),
    };
    if gives_way && kind.is_like_openai() && body.contains_key("messages") {
        body.shift_remove(old);
    }
}

/// Leaves out the lengths that the ask has.
pub(super) fn without_lengths(row: &mut Cow<'_, Map<String, Value>>) {
    let is_asked = |value: &Value| {
        value.is_null()
            || value
                .as_u64()
                .is_some_and(|most| u32::try_from(most).is_ok())
    };
    for name in LENGTHS {
        if row.get(name).is_some_and(is_asked) {
            row.to_mut().shift_remove(name);
        }
    }
}

/// Gives fields their other names; one that is there by both stays.
fn rename(row: &mut Cow<'_, Map<String, Value>>, names: &[(&str, &str)]) {
    for &(old, new) in names {
        if row.contains_key(old) && !row.contains_key(new) {
            let row = row.to_mut();
            if let Some(value) = row.shift_remove(old) {
                row.insert(new.to_owned(), value);
            }
        }
    }
}

/// A field that takes a list even of one.
fn listed(row: &mut Cow<'_, Map<String, Value>>, name: &str) {
    if row.get(name).is_some_and(Value::is_string)
        && let Some(value) = row.to_mut().get_mut(name)
    {
        *value = json!([value.take()]);
    }
}

/// Moves fields into the object `place`; what the row has there itself stays.
fn sink(row: &mut Cow<'_, Map<String, Value>>, place: &str, names: &[&str]) {
    let is_object = row.get(place).is_none_or(Value::is_object);
    if !is_object || !names.iter().any(|name| row.contains_key(*name)) {
        return;
    }
    let row = row.to_mut();
    let moved: Vec<_> = names
        .iter()
        .filter_map(|name| row.shift_remove_entry(*name))
        .collect();
    let own = row.entry(place).or_insert_with(|| json!({}));
    if let Value::Object(own) = own {
        for (name, value) in moved {
            own.entry(name).or_insert(value);
        }
    }
}

/// TGI refuses a temperature of 0, and with one of 1 it samples only when told to.
fn sample(row: &mut Cow<'_, Map<String, Value>>) {
    let told = row.get("parameters").and_then(|own| own.get("temperature"));
    let Some(temperature) = told.and_then(Value::as_f64) else {
        return;
    };
    if let Some(Value::Object(own)) = row.to_mut().get_mut("parameters") {
        own.entry("do_sample").or_insert(json!(temperature > 0.0));
        if temperature <= 0.0 {
            own.insert("temperature".to_owned(), Value::Null);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(kind: Kind, row: &Value) -> Value {
        let row = row.as_object().unwrap();
        Value::Object(place_row_fields(kind, row).into_owned())
    }

    #[test]
    fn a_rows_fields_stand_where_each_api_has_them() {
        let row = json!({"max_tokens": 7, "temperature": 0.5, "top_k": 3, "user": "u"});
        let bare = json!({"temperature": 0.5, "top_k": 3, "user": "u"});
        for (kind, expected) in [
            (Kind::OpenAi, row.clone()),
            (Kind::Together, row.clone()),
            (Kind::Anthropic, row.clone()),
            (Kind::Responses, bare.clone()),
            (Kind::LlamaCpp, bare.clone()),
            (Kind::TritonGenerate, bare),
            (
                Kind::Ollama,
                json!({"user": "u", "options": {"temperature": 0.5, "top_k": 3}}),
            ),
            (
                Kind::Gemini,
                json!({"user": "u", "generationConfig": {"temperature": 0.5, "topK": 3}}),
            ),
            (
                Kind::VertexPredict,
                json!({"parameters": {"temperature": 0.5, "user": "u", "topK": 3}}),
            ),
            (Kind::VertexAnthropic, row.clone()),
            (
                Kind::Tgi,
                json!({"user": "u", "parameters": {"temperature": 0.5, "top_k": 3, "do_sample": true}}),
            ),
        ] {
            assert_eq!(placed(kind, &row), expected, "{kind}");
        }
    }

    #[test]
    fn a_chat_in_openai_s_words_has_one_length() {
        let body = |kind, extra: Value| {
            let Value::Object(mut body) = json!({"messages": [], "max_tokens": 5}) else {
                panic!("an object");
            };
            let extra = extra.as_object().unwrap();
            body.extend(extra.clone());
            keep_one_length(kind, &mut body, extra);
            Value::Object(body)
        };
        let new = json!({"max_completion_tokens": 9});
        for kind in [Kind::OpenAi, Kind::Azure, Kind::Vllm] {
            let kept = json!({"messages": [], "max_completion_tokens": 9});
            assert_eq!(body(kind, new.clone()), kept, "{kind}");
            assert_eq!(
                body(kind, json!({"max_tokens": null})),
                json!({"messages": []})
            );
        }
        for extra in [
            json!({"max_completion_tokens": 9, "max_tokens": 7}),
            json!({"max_completion_tokens": null}),
            json!({"top_p": 1}),
        ] {
            assert!(
                body(Kind::OpenAi, extra.clone())["max_tokens"].is_u64(),
                "{extra}"
            );
        }
        assert_eq!(body(Kind::Anthropic, new)["max_tokens"], 5);
    }

    #[test]
    fn what_a_row_has_in_the_right_place_stays_and_no_length_is_lost() {
        let row = json!({"temperature": 0, "options": {"temperature": 1, "num_predict": 5}, "max_tokens": 1.5});
        assert_eq!(
            placed(Kind::Ollama, &row),
            json!({"options": {"temperature": 1, "num_predict": 5}, "max_tokens": 1.5})
        );
        assert_eq!(
            placed(
                Kind::Gemini,
                &json!({"stop": "x", "n": 2, "generationConfig": {"seed": 1}, "seed": 2, "tools": []})
            ),
            json!({"generationConfig": {"seed": 1, "candidateCount": 2, "stopSequences": ["x"]}, "tools": []})
        );
        assert_eq!(
            placed(
                Kind::VertexPredict,
                &json!({"max_new_tokens": 9, "parameters": {"a": 1}, "instances": []})
            ),
            json!({"parameters": {"a": 1, "maxOutputTokens": 9}, "instances": []})
        );
        assert_eq!(
            placed(
                Kind::Tgi,
                &json!({"temperature": 0, "max_completion_tokens": null})
            ),
            json!({"parameters": {"temperature": null, "do_sample": false}})
        );
    }

    #[test]
    fn a_row_does_not_change_how_its_answer_is_read() {
        let check = |kind, stream, row: Value| {
            let checked = check_row(kind, stream, row.as_object().unwrap());
            checked.map_err(|error| error.to_string())
        };
        for kind in Kind::ALL {
            assert_eq!(
                check(kind, true, json!({"stream": true, "seed": 1})),
                Ok(())
            );
            assert!(
                check(kind, true, json!({"stream": false})).is_err(),
                "{kind}"
            );
            assert!(
                check(kind, false, json!({"stream": true})).is_err(),
                "{kind}"
            );
        }
        assert_eq!(
            check(Kind::OpenAi, true, json!({"stream": null})).unwrap_err(),
            "a row's `stream` cannot be sent to provider `openai`: answers are read as --stream or --no-stream says; \
             leave it out of the rows"
        );
        assert!(check(Kind::Together, true, json!({"stream_tokens": false})).is_err());
        assert_eq!(
            check(Kind::TritonInfer, false, json!({"top_k": 1})).unwrap_err(),
            "a row's `top_k` cannot be sent to provider `triton-infer`: it takes tensors, which rows cannot add"
        );
    }
}
