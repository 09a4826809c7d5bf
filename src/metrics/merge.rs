//! Adding tallies together: associative, commutative, with the empty tally as identity, whatever the order.
//! It takes no part in filling one.

use std::collections::BTreeMap;

use super::{Counts, ErrorCount, ErrorKey, MAX_ERROR_KINDS, Metric, Phase, Series, Tally};
use crate::domain::{Offset, Outcome};

/// Kinds that keep their words: the rest of `MAX_ERROR_KINDS` is left for one collecting kind an outcome.
const NAMED_KINDS: usize = MAX_ERROR_KINDS - Outcome::ALL.len();
const COLLECTED: &str = "(further kinds of errors)";

impl Tally {
    /// Adds everything of `other`.
    ///
    /// Errors beyond `MAX_ERROR_KINDS` are collected by outcome. Which kinds keep their words depends on their
    /// order alone and not on the order of merging: that keeps merging associative.
    pub fn merge(&mut self, other: &Self) {
        self.merge_figures(other);
        self.merge_answers(other);
    }

    /// The same without the answers that are kept one by one, for who shows figures alone.
    pub fn merge_figures(&mut self, other: &Self) {
        self.counts.merge(other.counts);
        self.warmup.merge(&other.warmup);
        self.measured.merge(&other.measured);
        for (key, seen) in &other.errors {
            self.note_error(key.clone(), *seen);
        }
        add_counts(&mut self.warnings, &other.warnings);
        self.connections_opened += other.connections_opened;
        self.connections_warmed += other.connections_warmed;
        self.connections_reused += other.connections_reused;
        self.window_tokens += other.window_tokens;
        self.window_good += other.window_good;
        self.first_sent = earliest(self.first_sent, other.first_sent);
        self.last_sent = self.last_sent.max(other.last_sent);
        self.last_end = self.last_end.max(other.last_end);
        self.generator.merge(&other.generator);
    }

    /// An empty one that has the memory for what is usually measured: filling it never waits for the system to give some.
    pub fn roomy() -> Self {
        let mut tally = Self::default();
        let roomy = Metric::PLAIN.map(|metric| (metric, Series::roomy()));
        tally.measured.series = BTreeMap::from(roomy);
        tally
    }

    /// Empties it and keeps the memory of its histograms: what is recorded next need not wait for the system to give it some.
    pub fn clear(&mut self) {
        let (mut warmup, mut measured) = (Phase::default(), Phase::default());
        warmup.series = std::mem::take(&mut self.warmup.series);
        measured.series = std::mem::take(&mut self.measured.series);
        let all = warmup
            .series
            .values_mut()
            .chain(measured.series.values_mut());
        all.for_each(Series::clear);
        *self = Self {
            warmup,
            measured,
            ..Self::default()
        };
    }

    /// Makes it small, for one that is only kept, copied, sent or merged from here on.
    pub fn pack(&mut self) {
        self.warmup.pack();
        self.measured.pack();
    }

    /// Counts a kind of failure, and keeps the number of kinds bounded.
    pub(super) fn note_error(&mut self, key: ErrorKey, seen: ErrorCount) {
        add_error(&mut self.errors, key, seen);
        // Collecting kinds have a place of their own, so only the named ones are limited.
        if self.errors.len() <= NAMED_KINDS {
            return;
        }
        let named = |key: &&ErrorKey| key.text != COLLECTED;
        if self.errors.keys().filter(named).count() > NAMED_KINDS {
            let last = self.errors.keys().rev().find(named).cloned();
            if let Some((key, seen)) = last.and_then(|key| self.errors.remove_entry(&key)) {
                let text = COLLECTED.to_owned();
                add_error(&mut self.errors, ErrorKey { text, ..key }, seen);
            }
        }
    }
}

impl Counts {
    /// Adds everything of `other`.
    pub const fn merge(&mut self, other: Self) {
        self.scheduled += other.scheduled;
        self.sent += other.sent;
        self.dropped += other.dropped;
        self.late_cancelled += other.late_cancelled;
        self.lost += other.lost;
    }
}

impl Phase {
    /// Adds everything of `other`.
    pub fn merge(&mut self, other: &Self) {
        add_counts(&mut self.outcomes, &other.outcomes);
        for (&metric, theirs) in &other.series {
            if !theirs.is_empty() {
                self.series.entry(metric).or_default().merge(theirs);
            }
        }
        self.body_bytes += other.body_bytes;
        self.output_tokens += other.output_tokens;
        self.prompt_tokens += other.prompt_tokens;
        add_counts(&mut self.token_sources, &other.token_sources);
        self.met_all += other.met_all;
        if self.met.len() < other.met.len() {
            self.met.resize(other.met.len(), 0);
        }
        for (ours, theirs) in self.met.iter_mut().zip(&other.met) {
            *ours += theirs;
        }
    }

    /// As `Tally::pack`.
    pub(super) fn pack(&mut self) {
        self.series.retain(|_, series| !series.is_empty());
        self.series.values_mut().for_each(Series::pack);
    }

    /// The distribution of `metric`, if anything was recorded.
    pub fn get(&self, metric: Metric) -> Option<&Series> {
        self.series.get(&metric).filter(|series| !series.is_empty())
    }

    /// Requests with an outcome that `wanted` accepts.
    pub fn count(&self, wanted: impl Fn(Outcome) -> bool) -> u64 {
        let matching = self
            .outcomes
            .iter()
            .filter(|(outcome, _)| wanted(**outcome));
        matching.map(|(_, count)| count).sum()
    }

    /// Requests that ended, in whatever way.
    pub fn finished(&self) -> u64 {
        self.outcomes.values().sum()
    }
}

impl ErrorCount {
    /// One failure at `at`.
    pub const fn once(at: Offset) -> Self {
        Self {
            count: 1,
            first_seen: at,
            last_seen: at,
        }
    }
}

fn add_counts<K: Copy + Ord>(into: &mut BTreeMap<K, u64>, from: &BTreeMap<K, u64>) {
    for (&key, count) in from {
        *into.entry(key).or_default() += count;
    }
}

fn add_error(errors: &mut BTreeMap<ErrorKey, ErrorCount>, key: ErrorKey, seen: ErrorCount) {
    errors
        .entry(key)
        .and_modify(|known| {
            known.count += seen.count;
            known.first_seen = known.first_seen.min(seen.first_seen);
            known.last_seen = known.last_seen.max(seen.last_seen);
        })
        .or_insert(seen);
}

fn earliest(one: Option<Offset>, other: Option<Offset>) -> Option<Offset> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        _ => one.or(other),
    }
}
