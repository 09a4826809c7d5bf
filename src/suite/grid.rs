//! The product of the swept settings: every combination, in an order that never changes, as words for a command line.
//! It knows no option by its meaning; whether one is a flag is told to it.

use sha2::{Digest, Sha256};

/// Settings that take their values together, and those values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Axis {
    names: Vec<String>,
    /// One value a name, for each place on the axis.
    values: Vec<Vec<String>>,
}

/// Words that are no axis.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AxisError {
    /// There is no `NAME=`.
    #[error("`{0}` names no option: write NAME=V1,V2,... with a long option of `run`")]
    NoName(String),
    /// There is nothing behind `NAME=`.
    #[error("`{0}=` has an empty value")]
    NoValue(String),
    /// `a+b=1+2,3` lacks a value for `b`.
    #[error("place {place} of the list has not one value for each of `{names}`")]
    Uneven {
        /// The place, from 1: what stands there may be a secret.
        place: usize,
        /// The names, with `+`.
        names: String,
    },
}

/// A setting of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// The long option, without dashes.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// One run of a grid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Combination {
    /// What differs from run to run, an axis after the other.
    pub words: Vec<Word>,
}

/// The product of all axes; the last one changes fastest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grid {
    axes: Vec<Axis>,
}

impl Axis {
    /// The axis of one option, from a list with commas.
    ///
    /// # Errors
    /// A place of the list that is empty.
    pub fn list(name: &str, values: &str) -> Result<Self, AxisError> {
        Self::new(name, values)
    }

    /// `NAME=V1,V2`; `A+B=V1+W1,V2+W2` for settings that change together; `;` between values that have commas themselves.
    ///
    /// # Errors
    /// Words without a name, or without a value for each name.
    pub fn parse(text: &str) -> Result<Self, AxisError> {
        let (names, values) = text
            .split_once('=')
            .filter(|(names, _)| !names.trim().is_empty())
            .ok_or_else(|| AxisError::NoName(text.to_owned()))?;
        Self::new(names, values)
    }

    fn new(names: &str, values: &str) -> Result<Self, AxisError> {
        let owned = |name: &str| name.trim().trim_start_matches('-').replace('_', "-");
        let split: Vec<String> = names.split('+').map(owned).collect();
        let separator = if values.contains(';') { ';' } else { ',' };
        let place = |(place, value): (usize, &str)| {
            let parts: Vec<String> = match split.len() {
                1 => vec![value.trim().to_owned()],
                n => value
                    .splitn(n, '+')
                    .map(|part| part.trim().to_owned())
                    .collect(),
            };
            if parts.iter().any(String::is_empty) {
                return Err(AxisError::NoValue(names.to_owned()));
            }
            if parts.len() != split.len() {
                return Err(AxisError::Uneven {
                    place,
                    names: split.join("+"),
                });
            }
            Ok(parts)
        };
        let values = (1..)
            .zip(values.split(separator))
            .map(place)
            .collect::<Result<_, _>>()?;
        Ok(Self {
            names: split,
            values,
        })
    }

    /// How many places it has.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether it has no place.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The options that it sets.
    pub fn names(&self) -> &[String] {
        &self.names
    }
}

impl Grid {
    /// The product of `axes`. Without any it has one combination: the settings as they are.
    pub const fn new(axes: Vec<Axis>) -> Self {
        Self { axes }
    }

    /// All combinations, in order.
    pub fn combinations(&self) -> Vec<Combination> {
        let nothing = vec![Combination { words: Vec::new() }];
        self.axes.iter().fold(nothing, |combinations, axis| {
            combinations
                .iter()
                .flat_map(|so_far| axis.values.iter().map(|place| so_far.with(axis, place)))
                .collect()
        })
    }

    /// The first option that two axes set.
    pub fn set_twice(&self) -> Option<&str> {
        let names: Vec<&String> = self.axes.iter().flat_map(|axis| &axis.names).collect();
        let repeated =
            |(at, name): &(usize, &&String)| names.iter().take(*at).any(|other| other == *name);
        let mut numbered = names.iter().enumerate();
        numbered.find(repeated).map(|(_, name)| name.as_str())
    }
}

impl Combination {
    fn with(&self, axis: &Axis, place: &[String]) -> Self {
        let mut words = self.words.clone();
        words.extend(axis.names.iter().zip(place).map(|(name, value)| Word {
            name: name.clone(),
            value: value.clone(),
        }));
        Self { words }
    }

    /// How tables name the run: `users=4 model=m`.
    pub fn label(&self) -> String {
        let words: Vec<_> = self
            .words
            .iter()
            .map(|word| format!("{}={}", word.name, word.value))
            .collect();
        words.join(" ")
    }

    /// The words for a command line. A flag is given by its name, or by its `no-` name when its value is `false`.
    pub fn argv(&self, is_flag: impl Fn(&str) -> bool) -> Vec<String> {
        let words = self.words.iter();
        words
            .map(|Word { name, value }| match value.as_str() {
                "true" | "yes" | "on" if is_flag(name) => format!("--{name}"),
                "false" | "no" | "off" if is_flag(name) => format!("--no-{name}"),
                _ => format!("--{name}={value}"),
            })
            .collect()
    }
}

/// The name of a run that settings and repeat decide: the same settings, in whichever file or variable they stand, have the
/// same name. `digest` is that of the plan, `rest` whatever else the figures depend on.
pub fn run_id(digest: u64, rest: &str, repeat: u32) -> String {
    let text = format!("{digest:016x}\n{repeat}\n{rest}");
    let digest = Sha256::digest(text.as_bytes());
    let number = digest
        .iter()
        .take(6)
        .fold(0_u64, |sum, &byte| sum << 8 | u64::from(byte));
    format!("{number:012x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axes: &[&str]) -> Vec<String> {
        let axes = axes.iter().map(|text| Axis::parse(text).unwrap()).collect();
        let combinations = Grid::new(axes).combinations();
        combinations.iter().map(Combination::label).collect()
    }

    #[test]
    fn the_last_axis_changes_fastest() {
        assert_eq!(
            labels(&["model=a,b", "users=1,2"]),
            [
                "model=a users=1",
                "model=a users=2",
                "model=b users=1",
                "model=b users=2"
            ]
        );
        assert_eq!(labels(&[]), [""]);
    }

    #[test]
    fn settings_that_go_together_are_no_product() {
        assert_eq!(
            labels(&["provider+model=vllm+org/llama,openai+gpt-4+turbo"]),
            [
                "provider=vllm model=org/llama",
                "provider=openai model=gpt-4+turbo"
            ]
        );
        let uneven = Axis::parse("a+b=1,2+3").unwrap_err();
        assert_eq!(
            uneven.to_string(),
            "place 1 of the list has not one value for each of `a+b`"
        );
    }

    #[test]
    fn values_with_commas_are_parted_by_semicolons() {
        assert_eq!(
            labels(&["stages=1qps:1s,2qps:1s;9qps:1s"]),
            ["stages=1qps:1s,2qps:1s", "stages=9qps:1s"]
        );
    }

    #[test]
    fn what_is_no_axis_is_refused() {
        for text in ["users", "=1", "users=", "users=1,,2"] {
            assert!(Axis::parse(text).is_err(), "{text}");
        }
        let axis = |text| Axis::parse(text).unwrap();
        let grid = Grid::new(vec![axis("users=1"), axis("model+users=a+2")]);
        assert_eq!(grid.set_twice(), Some("users"));
    }

    #[test]
    fn flags_are_given_by_name_and_the_rest_by_value() {
        let axes = vec![
            Axis::parse("--stream=false").unwrap(),
            Axis::parse("max_tokens=3").unwrap(),
        ];
        let combinations = Grid::new(axes).combinations();
        let argv = combinations[0].argv(|name| name == "stream");
        assert_eq!(argv, ["--no-stream", "--max-tokens=3"]);
    }

    #[test]
    fn a_name_tells_settings_and_repeats_apart_and_nothing_else() {
        let id = run_id(7, "x", 0);
        assert_eq!(id.len(), 12);
        assert_eq!(id, run_id(7, "x", 0));
        for other in [run_id(8, "x", 0), run_id(7, "y", 0), run_id(7, "x", 1)] {
            assert_ne!(id, other);
        }
    }
}
