//! How the cache filled while more and more requests were sent at once, and how many tokens it holds.

use serde_json::{Map, Value};

use crate::serving::stats::{median, ratio};
use crate::serving::{Bench, Beside, Raw};

use super::kept::Kept;

/// A file whose fullest look is below this share of the fullest of all reaches further than it saw: it is not asked.
const WORTH: f64 = 0.5;

/// One look, at so many seconds from the first one. What the server does not tell is none.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Seen {
    pub(super) at_s: f64,
    pub(super) cache: Option<f64>,
    pub(super) running: Option<f64>,
    pub(super) waiting: Option<f64>,
}

/// How a cache's size was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// From what each query held at each look.
    Held,
    /// From the mean query and the fullest look: all that a file without the queries' stamps tells.
    Fullest,
}

/// One pair of lengths.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Profile {
    pub(super) input: u32,
    pub(super) output: u32,
    /// In order.
    pub(super) looks: Vec<Seen>,
    /// The most of the cache that was used.
    pub(super) fullest: f64,
    /// The tokens that the cache holds, by this file.
    pub(super) tokens: Option<(f64, Way)>,
}

/// How many tokens the cache holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Capacity {
    pub(super) tokens: f64,
    pub(super) way: Way,
    /// The profiles that were asked.
    pub(super) files: usize,
    /// The least and the most that one of them says.
    pub(super) range: (f64, f64),
}

impl Profile {
    pub(super) fn all(kept: &Kept<'_>) -> Vec<Self> {
        let profile = |(bench, raw): (&Bench, &&Raw)| match *bench {
            Bench::KvCacheProfile { input, output } => Some(Self::of(input, output, raw)),
            _ => None,
        };
        kept.files.iter().filter_map(profile).collect()
    }

    pub(super) fn of(input: u32, output: u32, raw: &Raw) -> Self {
        let looks = looks(raw.kv_cache_profile.as_deref().unwrap_or_default());
        let fullest = looks
            .iter()
            .filter_map(|look| look.cache)
            .fold(0.0, f64::max);
        let held = Beside::read(&raw.llmload).kv_cache_tokens;
        let tokens = held.map(|tokens| (tokens, Way::Held));
        Self {
            input,
            output,
            tokens: tokens.or_else(|| Some((by_the_fullest(raw, &looks)?, Way::Fullest))),
            fullest,
            looks,
        }
    }

    /// Below `report/`.
    pub(super) fn graph_path(&self) -> String {
        format!(
            "kv_cache_profile/graph_kv_cache_profile_input_{}_output_{}.png",
            self.input, self.output
        )
    }
}

fn looks(rows: &[Map<String, Value>]) -> Vec<Seen> {
    let of = |row: &Map<String, Value>, key: &str| {
        let value = row.get(key).and_then(Value::as_f64);
        value.filter(|value| *value >= 0.0)
    };
    let mut looks: Vec<Seen> = rows
        .iter()
        .filter_map(|row| {
            Some(Seen {
                at_s: of(row, "timestamp")?,
                cache: of(row, "gpu_cache_usage_perc"),
                running: of(row, "num_requests_running"),
                waiting: of(row, "num_requests_waiting"),
            })
        })
        .collect();
    looks.sort_by(|a, b| a.at_s.total_cmp(&b.at_s));
    let first = looks.first().map_or(0.0, |look| look.at_s);
    for look in &mut looks {
        look.at_s -= first;
    }
    looks
}

/// Mean tokens of a query × requests that run / share in use, where that share is largest while nothing waits: then all
/// answers of a wave began together and are nearly complete, as the mean of complete queries supposes. With some that wait,
/// others have just begun; such a look serves where there is no other.
fn by_the_fullest(raw: &Raw, looks: &[Seen]) -> Option<f64> {
    // A time-out ends before its prompt is counted.
    let timed_out = raw.general("nb_timeout_queries").unwrap_or(0.0);
    let counted = crate::serving::stats::quantity(raw.valid_queries());
    let prompt = ratio(
        raw.general("total_number_of_ingested_tokens")?,
        counted - timed_out,
    );
    let each = prompt + ratio(raw.general("total_number_of_generated_tokens")?, counted);
    let share = |look: &&Seen| look.cache.unwrap_or(0.0);
    let fullest = |looks: &mut dyn Iterator<Item = &Seen>| {
        let told = looks.filter(|look| look.running.is_some() && share(look) > 0.0);
        told.copied()
            .reduce(|a, b| if share(&&b) > share(&&a) { b } else { a })
    };
    let look = fullest(&mut looks.iter().filter(|look| look.waiting == Some(0.0)))
        .or_else(|| fullest(&mut looks.iter()))?;
    let size = ratio(each * look.running?, look.cache?);
    (size > 0.0).then_some(size)
}

impl Capacity {
    /// The median over the files that saw the cache at least half as full as the one that saw it fullest; of those that tell
    /// what their queries held, where there are any.
    pub(super) fn of(profiles: &[Profile]) -> Option<Self> {
        [Way::Held, Way::Fullest]
            .into_iter()
            .find_map(|way| Self::by(profiles, way))
    }

    fn by(profiles: &[Profile], way: Way) -> Option<Self> {
        let told: Vec<(f64, f64)> = profiles
            .iter()
            .filter_map(|one| Some((one.fullest, one.tokens.filter(|it| it.1 == way)?.0)))
            .collect();
        let most = told.iter().map(|one| one.0).fold(0.0, f64::max);
        let asked = told.into_iter().filter(|one| one.0 >= WORTH * most);
        let sizes: Vec<f64> = asked.map(|one| one.1).collect();
        let ends = (
            sizes.iter().copied().fold(f64::MAX, f64::min),
            sizes.iter().copied().fold(0.0, f64::max),
        );
        let files = sizes.len();
        Some(Self {
            tokens: median(sizes)?,
            way,
            files,
            range: ends,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn look(at: f64, cache: f64, running: f64, waiting: f64) -> Map<String, Value> {
        let row = json!({
            "timestamp": at, "gpu_cache_usage_perc": cache, "num_requests_running": running, "num_requests_waiting": waiting,
        });
        row.as_object().unwrap().clone()
    }

    fn raw(rows: Vec<Map<String, Value>>) -> Raw {
        let general = json!({
            "total_number_of_queries": 12, "nb_errored_queries": 3, "nb_timeout_queries": 1,
            "total_number_of_ingested_tokens": 810, "total_number_of_generated_tokens": 100,
        });
        Raw {
            general_metrics: general.as_object().unwrap().clone(),
            kv_cache_profile: Some(rows),
            ..Raw::default()
        }
    }

    fn size(profile: &Profile) -> f64 {
        profile.tokens.unwrap().0
    }

    #[test]
    fn the_fullest_look_is_one_where_nothing_waits_and_errors_are_no_queries() {
        // 810 tokens of 9 prompts that were counted, and 100 of 10 answers: 100 each.
        let rows = vec![
            look(12.0, 1.0, 5.0, 3.0),
            look(11.0, 0.8, 4.0, 0.0),
            look(10.0, 0.4, 2.0, 0.0),
        ];
        let profile = Profile::of(32, 16, &raw(rows));
        assert!((size(&profile) - 500.0).abs() < 1e-9);
        assert_eq!(profile.looks[0].cache, Some(0.4));
        assert_eq!(
            profile
                .looks
                .iter()
                .map(|look| look.at_s)
                .collect::<Vec<_>>(),
            [0.0, 1.0, 2.0]
        );
        let profile = Profile::of(32, 16, &raw(vec![look(1.0, 1.0, 5.0, 3.0)]));
        assert!((size(&profile) - 500.0).abs() < 1e-9);
        assert!((profile.fullest - 1.0).abs() < 1e-9);
    }

    #[test]
    fn looks_that_tell_nothing_break_nothing() {
        let rows = vec![look(1.0, -1.0, 5.0, 0.0), look(2.0, 0.0, 0.0, 0.0)];
        let profile = Profile::of(32, 16, &raw(rows));
        assert_eq!((profile.tokens, profile.looks[0].cache), (None, None));
        assert_eq!(Capacity::of(&[profile]), None);
        assert_eq!(Capacity::of(&[]), None);
    }

    #[test]
    fn files_that_hardly_used_the_cache_are_not_asked() {
        let one = |fullest, tokens| Profile {
            input: 32,
            output: 16,
            looks: Vec::new(),
            fullest,
            tokens,
        };
        let capacity = Capacity::of(&[
            one(0.02, Some((900.0, Way::Held))),
            one(0.9, Some((1010.0, Way::Held))),
            one(1.0, Some((1000.0, Way::Held))),
            one(0.6, Some((990.0, Way::Held))),
            one(1.0, Some((2000.0, Way::Fullest))),
            one(1.0, None),
        ])
        .unwrap();
        assert!((capacity.tokens - 1000.0).abs() < 1e-9);
        assert_eq!((capacity.files, capacity.range), (3, (990.0, 1010.0)));
    }
}
