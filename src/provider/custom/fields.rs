//! Finds values in a JSON document by JSON pointers (RFC 6901), all in one reading and without copying the document.
//! It knows where things stand, not what they mean.

use std::fmt;
use std::ops::Range;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::provider::DecodeError;
use crate::provider::json::{Text, unreadable};

/// What a pointer is for, in the order in which an event's values are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Use {
    Error,
    Reasoning,
    Text,
    ToolCall,
    Vectors,
    Finish,
    PromptTokens,
    CompletionTokens,
    CachedTokens,
    ReasoningTokens,
    End,
}

/// Pointers and what each is for.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields {
    pub(super) uses: Vec<Use>,
    root: Node,
}

/// A place that pointers lead to or through.
#[derive(Clone, Debug, Default)]
struct Node {
    /// Which of the pointers end here.
    ends: Vec<usize>,
    children: Vec<(Step, Node)>,
}

/// The name of a field, or the place in a list.
#[derive(Clone, Debug, PartialEq)]
struct Step {
    name: String,
    index: Option<usize>,
}

/// Where in the document each pointer's value stands.
pub(super) type Found = [Option<Range<usize>>];

/// Why a text is not a JSON pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PointerError {
    #[error("pointers begin with `/`")]
    Start,
    #[error("`~` stands for itself as `~0`")]
    Escape,
}

impl Fields {
    /// Pointers in the order in which their values are told.
    pub(super) fn new(mut pointers: Vec<(Use, Vec<String>)>) -> Self {
        pointers.sort_by_key(|(purpose, _)| *purpose);
        let mut fields = Self::default();
        for (purpose, steps) in pointers {
            let slot = fields.uses.len();
            fields.uses.push(purpose);
            fields.root.add(steps.into_iter(), slot);
        }
        fields
    }

    /// Reads `data` and notes where each pointer's value stands in it.
    pub(super) fn find(&self, data: &[u8], found: &mut Found) -> Result<(), DecodeError> {
        found.fill(None);
        let mut document = serde_json::Deserializer::from_slice(data);
        let at = At {
            node: &self.root,
            start: data.as_ptr().addr(),
            found,
        };
        at.deserialize(&mut document)
            .and_then(|()| document.end())
            .map_err(|cause| unreadable(data, &cause))
    }
}

/// The steps of a JSON pointer.
pub(super) fn steps_of(pointer: &str) -> Result<Vec<String>, PointerError> {
    let mut parts = pointer.split('/');
    if parts.next() != Some("") || pointer.is_empty() {
        return Err(PointerError::Start);
    }
    parts.map(unescaped).collect()
}

fn unescaped(step: &str) -> Result<String, PointerError> {
    let mut text = String::new();
    let mut chars = step.chars();
    while let Some(c) = chars.next() {
        text.push(match c {
            '~' => match chars.next() {
                Some('0') => '~',
                Some('1') => '/',
                _ => return Err(PointerError::Escape),
            },
            other => other,
        });
    }
    Ok(text)
}

impl Node {
    fn add(&mut self, mut steps: impl Iterator<Item = String>, slot: usize) {
        let Some(name) = steps.next() else {
            self.ends.push(slot);
            return;
        };
        let known = self.children.iter().position(|(step, _)| step.name == name);
        let place = known.unwrap_or_else(|| {
            self.children.push((Step::new(name), Self::default()));
            self.children.len() - 1
        });
        self.children[place].1.add(steps, slot);
    }

    fn field(&self, name: &str) -> Option<&Self> {
        let mut children = self.children.iter();
        let child = children.find(|(step, _)| step.name == name)?;
        Some(&child.1)
    }

    fn element(&self, index: usize) -> Option<&Self> {
        let mut children = self.children.iter();
        let child = children.find(|(step, _)| step.index == Some(index))?;
        Some(&child.1)
    }
}

impl Step {
    fn new(name: String) -> Self {
        // By the standard a place in a list has no sign and no zeros before it.
        let digits = name.bytes().all(|byte| byte.is_ascii_digit());
        let plain = digits && (name == "0" || !name.starts_with('0'));
        let index = plain.then(|| name.parse().ok()).flatten();
        Self { name, index }
    }
}

/// Reads one value of the document.
struct At<'t> {
    node: &'t Node,
    /// Where the document stands in memory.
    start: usize,
    found: &'t mut Found,
}

impl At<'_> {
    fn note(&mut self, raw: &RawValue) {
        let text = raw.get();
        if let Some(start) = text.as_ptr().addr().checked_sub(self.start) {
            for &slot in &self.node.ends {
                self.found[slot] = Some(start..start + text.len());
            }
        }
    }
}

impl<'de> DeserializeSeed<'de> for At<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(mut self, value: D) -> Result<(), D::Error> {
        if self.node.ends.is_empty() {
            return value.deserialize_any(self);
        }
        let raw: &RawValue = serde::Deserialize::deserialize(value)?;
        self.note(raw);
        if self.node.children.is_empty() {
            return Ok(());
        }
        let mut again = serde_json::Deserializer::from_str(raw.get());
        again.deserialize_any(self).map_err(D::Error::custom)
    }
}

impl<'de> Visitor<'de> for At<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<Text<'de>>()? {
            match self.node.field(name.as_str()) {
                Some(node) => map.next_value_seed(At {
                    node,
                    start: self.start,
                    found: &mut *self.found,
                })?,
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        for index in 0.. {
            let more = match self.node.element(index) {
                Some(node) => list.next_element_seed(At {
                    node,
                    start: self.start,
                    found: &mut *self.found,
                })?,
                None => list.next_element::<IgnoredAny>()?.map(drop),
            };
            if more.is_none() {
                break;
            }
        }
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn found(pointers: &[&str], document: &str) -> Result<Vec<Option<String>>, DecodeError> {
        let pointers = pointers
            .iter()
            .map(|pointer| (Use::Text, steps_of(pointer).unwrap()));
        let fields = Fields::new(pointers.collect());
        let mut found = vec![None; fields.uses.len()];
        fields.find(document.as_bytes(), &mut found)?;
        let text = |range: &Range<usize>| document[range.clone()].to_owned();
        Ok(found.iter().map(|range| range.as_ref().map(text)).collect())
    }

    #[test]
    fn values_are_found_where_they_stand() {
        let document =
            r#" {"a": {"b": [1, {"c": "x\n"}]}, "~/": null, "a/b": 2, "01": 3, "é": 4} "#;
        let cases = [
            ("/a/b/1/c", Some(r#""x\n""#)),
            ("/a/b", Some(r#"[1, {"c": "x\n"}]"#)),
            ("/a/b/0", Some("1")),
            ("/a/b/00", None),
            ("/a/b/2", None),
            ("/a/b/-", None),
            ("/a/b/c", None),
            ("/~0~1", Some("null")),
            ("/a~1b", Some("2")),
            ("/01", Some("3")),
            ("/é", Some("4")),
            ("/a/b/0/c", None),
        ];
        let pointers: Vec<&str> = cases.iter().map(|(pointer, _)| *pointer).collect();
        let expected: Vec<_> = cases
            .iter()
            .map(|(_, value)| value.map(str::to_owned))
            .collect();
        assert_eq!(found(&pointers, document), Ok(expected));
        for (pointer, value) in cases {
            assert_eq!(
                found(&[pointer], document).unwrap(),
                [value.map(str::to_owned)],
                "{pointer}"
            );
        }
    }

    #[test]
    fn what_is_no_json_is_an_error_wherever_it_stands() {
        for broken in [
            "",
            "{",
            r#"{"a": nonsense}"#,
            r#"{"b": }"#,
            "{} {}",
            r#"{"a": {"b": ]}}"#,
        ] {
            assert!(found(&["/a", "/a/b"], broken).is_err(), "{broken}");
        }
        for other in ["5", "null", "[]", r#""a""#, "-1.5e3", "true"] {
            assert_eq!(found(&["/a"], other), Ok(vec![None]), "{other}");
        }
    }

    #[test]
    fn pointers_are_those_of_the_standard() {
        assert_eq!(
            steps_of("/a/~01/"),
            Ok(vec!["a".into(), "~1".into(), String::new()])
        );
        assert_eq!(steps_of("a/b"), Err(PointerError::Start));
        assert_eq!(steps_of(""), Err(PointerError::Start));
        assert_eq!(steps_of("/a~2"), Err(PointerError::Escape));
        assert_eq!(steps_of("/a~"), Err(PointerError::Escape));
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            "[a-c\"\\\\é]{0,3}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 20, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map("[ab01]", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_found_is_what_the_standard_points_at(
            document in json(),
            pointers in prop::collection::vec("(/[ab01]){1,3}", 1..5),
        ) {
            let refs: Vec<&str> = pointers.iter().map(String::as_str).collect();
            let here: Vec<Option<Value>> = found(&refs, &document.to_string())
                .unwrap()
                .into_iter()
                .map(|text| text.map(|text| serde_json::from_str(&text).unwrap()))
                .collect();
            let there: Vec<Option<Value>> =
                refs.iter().map(|pointer| document.pointer(pointer).cloned()).collect();
            prop_assert_eq!(here, there);
        }
    }
}
