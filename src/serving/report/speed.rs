//! How fast answers are written, for each pair of lengths and number of requests under way, and how many requests a server bears.

use crate::serving::Raw;

use super::kept::Kept;

/// A cache that is used less than this has room.
pub(super) const CACHE_THRESHOLD: f64 = 0.95;
/// The figures of a query that are shown.
const SPEED: &str = "speed_from_beginning";
const WITHOUT_WAITING: &str = "speed_without_waiting_time";
const TTFT: &str = "time_to_first_token";

/// Where half of the values are, and the one in the middle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Middle {
    /// A quarter is below.
    pub(super) low: f64,
    pub(super) median: f64,
    /// A quarter is above.
    pub(super) high: f64,
}

impl Middle {
    fn of(raw: &Raw, figure: &str) -> Option<Self> {
        Some(Self {
            low: raw.aggregate(figure, "percentile_25")?,
            median: raw.aggregate(figure, "median")?,
            high: raw.aggregate(figure, "percentile_75")?,
        })
    }
}

/// One number of requests under way.
#[derive(Clone, Debug)]
pub(super) struct Level {
    pub(super) parallel: u32,
    /// Tokens per second of a request's whole time.
    pub(super) speed: Middle,
    /// Tokens per second without the waiting.
    pub(super) without_waiting: Middle,
    /// Seconds.
    pub(super) ttft: Middle,
    /// The most of the cache that was used; none where the server does not tell.
    pub(super) cache: Option<f64>,
    pub(super) queries: u64,
}

/// How many requests something holds for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Threshold {
    /// The most, whatever fewer ones came to; 0 for none.
    pub(super) largest: u32,
    /// The most up to which it holds for all fewer ones too; 0 for none.
    pub(super) unbroken: u32,
}

impl Threshold {
    fn of(levels: &[Level], holds: impl Fn(&Level) -> bool) -> Self {
        let parallel = |level: Option<&Level>| level.map_or(0, |level| level.parallel);
        Self {
            largest: parallel(levels.iter().rfind(|level| holds(level))),
            unbroken: parallel(levels.iter().take_while(|level| holds(level)).last()),
        }
    }
}

/// One pair of lengths.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    pub(super) input: u32,
    pub(super) output: u32,
    /// By the number of requests.
    pub(super) levels: Vec<Level>,
    /// Whose median speed is enough.
    pub(super) speed: Threshold,
    /// Whose cache has room; none where the server does not tell.
    pub(super) cache: Option<Threshold>,
}

impl Pair {
    pub(super) fn all(kept: &Kept<'_>, threshold: f64) -> Vec<Self> {
        let mut pairs: Vec<((u32, u32), Vec<Level>)> = Vec::new();
        // Benchmarks are in order: by pair, then by the number of requests.
        for (lengths, parallel, raw) in kept.speeds() {
            let Some(level) = level(parallel, raw) else {
                continue;
            };
            match pairs.last_mut() {
                Some((last, levels)) if *last == lengths => levels.push(level),
                _ => pairs.push((lengths, vec![level])),
            }
        }
        let pair = |((input, output), levels)| Self::new(input, output, levels, threshold);
        pairs.into_iter().map(pair).collect()
    }

    fn new(input: u32, output: u32, levels: Vec<Level>, threshold: f64) -> Self {
        let told: Vec<Level> = levels
            .iter()
            .filter(|level| level.cache.is_some())
            .cloned()
            .collect();
        let has_room = |level: &Level| level.cache.is_some_and(|most| most < CACHE_THRESHOLD);
        Self {
            input,
            output,
            speed: Threshold::of(&levels, |level| level.speed.median >= threshold),
            cache: (!told.is_empty()).then(|| Threshold::of(&told, has_room)),
            levels,
        }
    }

    pub(super) fn data_path(&self) -> String {
        format!(
            "report/speed_generation/data/speed_generation_graph_data_input_{}_output_{}.json",
            self.input, self.output
        )
    }

    /// Below `report/`.
    pub(super) fn graph_path(&self) -> String {
        format!(
            "speed_generation/speed_generation_graph_input_{}_output_{}.png",
            self.input, self.output
        )
    }
}

fn level(parallel: u32, raw: &Raw) -> Option<Level> {
    Some(Level {
        parallel,
        speed: Middle::of(raw, SPEED)?,
        without_waiting: Middle::of(raw, WITHOUT_WAITING)?,
        ttft: Middle::of(raw, TTFT)?,
        cache: raw.general("max_kv_cache"),
        queries: raw.valid_queries(),
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::serving::report) fn plain(
        parallel: u32,
        speed: f64,
        cache: Option<f64>,
    ) -> Level {
        let around = |median: f64| Middle {
            low: median * 0.9,
            median,
            high: median * 1.2,
        };
        Level {
            parallel,
            speed: around(speed),
            without_waiting: around(speed * 1.5),
            ttft: around(0.1 * f64::from(parallel)),
            cache,
            queries: 100,
        }
    }

    pub(in crate::serving::report) fn pair(levels: Vec<Level>) -> Pair {
        Pair::new(32, 16, levels, 20.0)
    }

    #[test]
    fn thresholds_are_the_largest_and_the_largest_without_a_break() {
        let found = pair(vec![
            plain(1, 40.0, Some(0.1)),
            plain(2, 20.0, Some(0.949)),
            plain(4, 19.9, Some(0.95)),
            plain(8, 20.5, Some(0.9)),
            plain(10, 5.0, Some(1.0)),
        ]);
        assert_eq!((found.speed.largest, found.speed.unbroken), (8, 2));
        let cache = found.cache.unwrap();
        assert_eq!((cache.largest, cache.unbroken), (8, 2));
        let slow = pair(vec![plain(1, 3.0, None), plain(2, 2.0, None)]);
        assert_eq!((slow.speed, slow.cache), (Threshold::default(), None));
        let full = pair(vec![plain(1, 30.0, None), plain(2, 30.0, Some(1.0))]);
        assert_eq!(full.cache, Some(Threshold::default()));
    }
}
