//! Which files of raw results a report is made of, and why the others are not. It computes nothing from them.

use std::collections::BTreeMap;

use crate::serving::words::queries;
use crate::serving::{Bench, Raw};

/// The files that count, by their benchmarks.
pub(super) struct Kept<'a> {
    pub(super) files: BTreeMap<Bench, &'a Raw>,
    /// What had to be left out, and why.
    pub(super) left_out: Vec<String>,
}

impl<'a> Kept<'a> {
    pub(super) fn of(raws: &'a BTreeMap<String, Raw>, fewest: u64) -> Self {
        let mut kept = Self {
            files: BTreeMap::new(),
            left_out: Vec::new(),
        };
        for (name, raw) in raws {
            match fault(name, raw, fewest) {
                Ok(bench) => {
                    kept.files.insert(bench, raw);
                }
                Err(why) => kept.left_out.push(format!("`{name}`: {why}")),
            }
        }
        kept
    }

    /// Something of the report is not there.
    pub(super) fn lacks(&mut self, what: &str) {
        self.left_out.push(what.to_owned());
    }

    /// Its benchmarks of the speed: (input, output, requests under way) and the file.
    pub(super) fn speeds(&self) -> impl Iterator<Item = ((u32, u32), u32, &'a Raw)> + '_ {
        self.files.iter().filter_map(|(bench, raw)| match *bench {
            Bench::SpeedGeneration {
                input,
                output,
                parallel,
            } => Some(((input, output), parallel, *raw)),
            _ => None,
        })
    }
}

fn fault(name: &str, raw: &Raw, fewest: u64) -> Result<Bench, String> {
    let bench = Bench::of_file(name).ok_or("its name is no benchmark's of a suite")?;
    let valid = raw.valid_queries();
    if valid < fewest || raw.aggregated_metrics.is_empty() {
        let valid = queries(valid);
        return Err(format!(
            "{valid} counted, at least {} are wanted",
            fewest.max(1)
        ));
    }
    match bench {
        Bench::PromptIngestion { .. } if raw.individual_query.is_none() => {
            Err("it does not have its queries one by one".to_owned())
        }
        Bench::KvCacheProfile { .. } if raw.kv_cache_profile.as_ref().is_none_or(Vec::is_empty) => {
            Err("it has no look at the cache".to_owned())
        }
        _ => Ok(bench),
    }
}
