//! The benchmarks of a suite and the names of their files. What they measure is not known here.

/// One benchmark of a suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bench {
    /// How fast prompts of all lengths are read, one at a time.
    PromptIngestion {
        /// Which of the repetitions.
        repeat: u32,
    },
    /// How the cache fills while more and more requests are sent at once.
    KvCacheProfile {
        /// The prompts' length.
        input: u32,
        /// The answers' length.
        output: u32,
    },
    /// How fast answers are written with so many requests under way.
    SpeedGeneration {
        /// The prompts' length.
        input: u32,
        /// The answers' length.
        output: u32,
        /// Requests under way.
        parallel: u32,
    },
}

impl Bench {
    /// The name of its file of raw results.
    pub fn file(self) -> String {
        match self {
            Self::PromptIngestion { repeat } => format!("prompt_ingestion_{repeat}.json"),
            Self::KvCacheProfile { input, output } => {
                format!("kv_cache_profile_input_{input}_output_{output}.json")
            }
            Self::SpeedGeneration {
                input,
                output,
                parallel,
            } => format!(
                "generation_speed_input_{input}_output_{output}_nb_requests_{parallel}.json"
            ),
        }
    }

    /// The benchmark whose file of raw results has this name; none for any other name.
    pub fn of_file(name: &str) -> Option<Self> {
        let words = name.strip_suffix(".json")?;
        let numbers: Vec<u32> = words
            .split('_')
            .filter_map(|word| word.parse().ok())
            .collect();
        let bench = match (numbers.as_slice(), words.split('_').next()?) {
            (&[repeat], "prompt") => Self::PromptIngestion { repeat },
            (&[input, output], "kv") => Self::KvCacheProfile { input, output },
            (&[input, output, parallel], "generation") => Self::SpeedGeneration {
                input,
                output,
                parallel,
            },
            _ => return None,
        };
        (bench.file() == name).then_some(bench)
    }

    /// The lengths of its prompts and answers, where each query has the same.
    pub const fn pair(self) -> Option<(u32, u32)> {
        match self {
            Self::PromptIngestion { .. } => None,
            Self::KvCacheProfile { input, output }
            | Self::SpeedGeneration { input, output, .. } => Some((input, output)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_back_and_no_other_is() {
        for bench in [
            Bench::PromptIngestion { repeat: 3 },
            Bench::KvCacheProfile {
                input: 32,
                output: 1024,
            },
            Bench::SpeedGeneration {
                input: 4096,
                output: 16,
                parallel: 38,
            },
        ] {
            assert_eq!(Bench::of_file(&bench.file()), Some(bench));
        }
        for name in [
            "prompt_ingestion_03.json",
            "prompt_ingestion_graph_data.json",
            "kv_cache_profile_input_32_output_16.csv",
            "generation_speed_input_32_output_16.json",
            "kv_cache_profile_output_32_input_16.json",
            "suite.json",
        ] {
            assert_eq!(Bench::of_file(name), None, "{name}");
        }
    }
}
