//! How long a suite takes: by the stop conditions of its benchmarks, from how fast one request was answered.

use std::collections::BTreeMap;

use super::settings::QUICK_DRAIN_S;
use super::stats::{count, quantity};
use super::{Bench, SuiteSettings, words};

/// The server is looked at for a second before and a second after each benchmark.
const LOOKS_S: f64 = 2.0;
/// A wave of the cache's profile begins so long after the one before.
const PAUSE_S: f64 = 0.5;
/// A wave that begins has so long for its requests, however little is left of the profile's time.
pub const LEAST_WAVE_S: f64 = 1.0;

/// Seconds: those that are expected, and the most.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Span {
    expected: f64,
    most: f64,
}

impl Span {
    fn and(self, other: Self) -> Self {
        Self {
            expected: self.expected + other.expected,
            most: self.most + other.most,
        }
    }
}

impl SuiteSettings {
    /// About how long `left` of them take a server that takes `ttft_s` and then `tpot_s` a token, and at most, in seconds.
    /// Expected is what a server takes whose speed does not fall with longer prompts and more requests; at most, each runs for its
    /// longest duration and then waits for the answers under way, at the speed of the first.
    pub fn estimate(&self, left: &[Bench], ttft_s: f64, tpot_s: f64) -> (f64, f64) {
        let mut total = Span::default();
        let mut pairs: BTreeMap<(u32, u32), Vec<u32>> = BTreeMap::new();
        for bench in left {
            match *bench {
                Bench::PromptIngestion { .. } => total = total.and(self.ingestion(ttft_s + tpot_s)),
                Bench::KvCacheProfile { output, .. } => {
                    total = total.and(self.profile(ttft_s + f64::from(output) * tpot_s));
                }
                Bench::SpeedGeneration {
                    input,
                    output,
                    parallel,
                } => pairs.entry((input, output)).or_default().push(parallel),
            }
        }
        for ((_, output), levels) in pairs {
            total = total.and(self.speeds(&levels, ttft_s + f64::from(output) * tpot_s));
        }
        (total.expected, total.most.max(total.expected))
    }

    /// What each benchmark takes beside its queries: a request that only looks whether the server answers, which a quick suite
    /// sends once for all, and the looks at its metrics.
    const fn around(&self, query_s: f64) -> f64 {
        LOOKS_S + if self.quick { 0.0 } else { query_s }
    }

    /// How long a benchmark whose time is over waits for the answers under way.
    const fn wait(&self, query_s: f64) -> f64 {
        if self.quick {
            query_s.min(QUICK_DRAIN_S)
        } else {
            query_s
        }
    }

    fn ingestion(&self, query_s: f64) -> Span {
        let most = self.max_duration_prompt_ingestion;
        let around = self.around(query_s);
        Span {
            expected: around
                + (quantity(self.max_queries) * query_s).min(most + self.wait(query_s)),
            most: around + most + self.wait(query_s),
        }
    }

    fn profile(&self, query_s: f64) -> Span {
        let wave_s = PAUSE_S + query_s;
        let (mut launched, mut wave, mut time) = (0, 1, 0.0);
        while launched + wave <= self.max_queries && time < self.max_duration_kv_cache_profile {
            launched += wave;
            wave += 1;
            time += wave_s;
        }
        let around = self.around(query_s);
        // The last wave begins within the time, has a second of its own at least, and waits.
        let most = self.max_duration_kv_cache_profile + PAUSE_S + LEAST_WAVE_S + self.wait(query_s);
        Span {
            expected: around + time.min(most),
            most: around + most,
        }
    }

    /// The levels of one pair: no further one begins when they took longer than one may.
    fn speeds(&self, levels: &[u32], query_s: f64) -> Span {
        let limit = self.max_duration_speed_generation;
        let around = self.around(query_s);
        let mut expected = 0.0;
        for parallel in levels {
            if expected <= limit {
                expected += around + self.speed(f64::from(*parallel), query_s);
            }
        }
        // The level that begins last begins within the pair's time.
        let longest = around + limit + self.wait(query_s);
        let most = (longest * count(levels.len())).min(limit + longest);
        Span { expected, most }
    }

    /// One level, with the answers under way at its end.
    fn speed(&self, parallel: f64, query_s: f64) -> f64 {
        let for_queries = |n: u64| quantity(n) * query_s / parallel;
        let enough = self
            .min_duration_speed_generation
            .max(for_queries(self.target_queries_nb_speed_generation));
        let sending = enough
            .min(self.max_duration_speed_generation)
            .min(for_queries(self.max_queries));
        sending + self.wait(query_s)
    }
}

/// An estimate in words: `about 2 h 10 min, at most 7 h 30 min`.
pub fn estimate_in_words((expected, most): (f64, f64)) -> String {
    format!(
        "about {}, at most {}",
        words::span_in_words(expected),
        words::span_in_words(most)
    )
}

#[cfg(test)]
mod tests {
    use super::super::settings::{QUICK_LOOK_S, QUICK_S};
    use super::*;

    fn near(found: f64, wanted: f64) {
        assert!((found - wanted).abs() < 1e-6, "{found} is not {wanted}");
    }

    #[test]
    fn an_ingestion_ends_with_its_queries_or_its_time() {
        let settings = SuiteSettings::default();
        let one = [Bench::PromptIngestion { repeat: 0 }];
        let (expected, most) = settings.estimate(&one, 0.09, 0.01);
        near(expected, 0.1 + 2.0 + 100.0);
        near(most, 0.1 + 2.0 + 900.0 + 0.1);
        let (expected, _) = settings.estimate(&one, 1.99, 0.01);
        near(expected, 2.0 + 2.0 + 902.0);
    }

    #[test]
    fn a_profile_has_the_waves_that_its_queries_allow() {
        let settings = SuiteSettings::default();
        let one = [Bench::KvCacheProfile {
            input: 32,
            output: 100,
        }];
        // 44 waves are 990 queries.
        let (expected, _) = settings.estimate(&one, 0.5, 0.01);
        near(expected, 1.5 + 2.0 + 44.0 * 2.0);
        let slow = settings.estimate(&one, 0.5, 1.0);
        near(slow.0, 100.5 + 2.0 + 9.0 * 101.0);
        near(slow.1, 100.5 + 2.0 + 900.0 + 102.0);
    }

    #[test]
    fn a_level_lasts_until_both_its_minimum_and_its_target_are_reached() {
        let settings = SuiteSettings::default();
        let level = |parallel| Bench::SpeedGeneration {
            input: 32,
            output: 100,
            parallel,
        };
        // A query takes 2 s: 100 of them 200 s one at a time, and the minimum of 60 s with ten.
        near(
            settings.estimate(&[level(1)], 1.0, 0.01).0,
            2.0 + 2.0 + 200.0 + 2.0,
        );
        near(
            settings.estimate(&[level(10)], 1.0, 0.01).0,
            2.0 + 2.0 + 60.0 + 2.0,
        );
        // Both are 272 s; a pair may start one more when its 900 s are just not over.
        near(
            settings.estimate(&[level(1), level(10)], 1.0, 0.01).0,
            272.0,
        );
        near(settings.estimate(&[level(1)], 1.0, 0.01).1, 906.0);
        near(
            settings.estimate(&[level(1), level(10)], 1.0, 0.01).1,
            1806.0,
        );
    }

    #[test]
    fn a_pair_begins_no_further_level_when_its_time_is_up() {
        let settings = SuiteSettings::default();
        let levels: Vec<Bench> = settings
            .benchmarks()
            .into_iter()
            .filter(|bench| bench.pair() == Some((32, 1024)))
            .filter(|bench| matches!(bench, Bench::SpeedGeneration { .. }))
            .collect();
        let (expected, most) = settings.estimate(&levels, 0.0, 0.1);
        // 102.4 s a query: the first level alone takes its 900 s and the rest of its answer.
        near(expected, 2.0 + 102.4 + 900.0 + 102.4);
        assert!(most >= expected);
    }

    #[test]
    fn a_quick_suite_fits_in_five_minutes_however_slow_the_server_is() {
        let settings = SuiteSettings::quick();
        let all = settings.benchmarks();
        // A fast server, one on a processor, one that is overloaded, one that stalls.
        for (ttft_s, tpot_s) in [(0.02, 0.002), (2.0, 0.2), (20.0, 1.0), (1e6, 1e6)] {
            let (expected, most) = settings.estimate(&all, ttft_s, tpot_s);
            let whole = QUICK_LOOK_S + QUICK_DRAIN_S + most;
            assert!(
                expected <= most && whole <= QUICK_S - 10.0,
                "{ttft_s}: {whole}"
            );
        }
        // And on a fast server it is much less than that.
        let (expected, most) = settings.estimate(&all, 0.02, 0.002);
        assert!(expected < 0.75 * most, "{expected} {most}");
        // It does so by giving up what others wait for.
        let patient = SuiteSettings {
            quick: false,
            ..settings
        };
        assert!(patient.estimate(&all, 2.0, 0.2).1 > QUICK_S);
    }

    #[test]
    fn an_estimate_reads_as_one_says_it() {
        assert_eq!(
            estimate_in_words((7800.0, 27_000.0)),
            "about 2 h 10 min, at most 7 h 30 min"
        );
        let all = SuiteSettings::default();
        let (expected, most) = all.estimate(&all.benchmarks(), 0.1, 0.01);
        assert_eq!(
            estimate_in_words((expected, most)),
            "about 2 h 33 min, at most 7 h 48 min"
        );
    }
}
