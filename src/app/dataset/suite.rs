//! The data sets of a bench suite: prompts of each of its lengths, and prompts of all lengths, a JSON array of texts a file.
//! It composes nothing itself, and leaves files alone that are there.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::anyhow;
use indexmap::IndexSet;

use super::generate::json_list;
use super::tokenizer;
use crate::app::failure::Failure;
use crate::app::files::replace_by;
use crate::domain::{Index, Prompt, Seed};
use crate::workload::{
    Api, Around, Batch, Corpus, LengthLaw, LengthSpec, PromptSource, Shape, Spec, Tokenizer,
    Workload, WorkloadError,
};

/// The lengths that upstream's folder has.
pub(in crate::app) const LENGTHS: [u32; 7] = [32, 128, 256, 512, 1_024, 2_048, 4_096];
/// Prompts in a file of one length.
pub(in crate::app) const COUNT: u64 = 1_000;
/// The file with prompts of all lengths, and how many it has.
pub(in crate::app) const GROWING: &str = "growing_prompts.json";
const GROWING_COUNT: u32 = 411;
/// So many of them have the same length.
const ALIKE: u32 = 10;
/// The shortest of them: what tells two prompts apart, and a little more.
const SHORTEST: u32 = 16;
/// The longest of them.
pub(in crate::app) const LONGEST: u32 = 4_096;

/// Which files are wanted.
#[derive(Clone, Copy, Debug)]
pub(in crate::app) struct SuiteWish<'a> {
    /// Where; made if need be.
    pub(in crate::app) folder: &'a Path,
    /// Prompts of each of these lengths.
    pub(in crate::app) lengths: &'a [u32],
    /// And of all lengths up to this one.
    pub(in crate::app) growing_to: Option<u32>,
    /// Prompts of each length.
    pub(in crate::app) count: u64,
    /// Whose tokens are counted; absent: by rule of thumb.
    pub(in crate::app) tokenizer: Option<&'a str>,
    /// Where all draws come from.
    pub(in crate::app) seed: u64,
    /// Files that are there are made again.
    pub(in crate::app) force: bool,
}

/// The name of the file with prompts of this length.
pub(in crate::app) fn file_of(length: u32) -> String {
    format!("prompts_length_{length}.json")
}

/// Makes what is missing. Returns what was made.
///
/// # Errors
/// A tokenizer that cannot be had, a length that no prompt can have, a file that cannot be written.
pub(in crate::app) fn ensure_suite(wish: &SuiteWish<'_>) -> Result<Vec<PathBuf>, Failure> {
    let missing = |name: String| {
        let path = wish.folder.join(name);
        (wish.force || !path.is_file()).then_some(path)
    };
    let lengths: Vec<(u32, PathBuf)> = wish
        .lengths
        .iter()
        .filter_map(|length| Some((*length, missing(file_of(*length))?)))
        .collect();
    let growing = wish
        .growing_to
        .and_then(|longest| Some((longest, missing(GROWING.to_owned())?)));
    if lengths.is_empty() && growing.is_none() {
        return Ok(Vec::new());
    }
    fs::create_dir_all(wish.folder).map_err(|error| unwritten(wish.folder, error))?;
    let tokenizer = wish.tokenizer.map(tokenizer).transpose()?.map(Arc::new);
    let mut composer = Composer {
        tokenizer,
        seed: Seed(wish.seed),
        notes: IndexSet::new(),
    };
    let mut made = Vec::new();
    for (length, path) in lengths {
        let prompts = composer.prompts(length, 0..wish.count)?;
        made.push(write(path, &prompts)?);
    }
    if let Some((longest, path)) = growing {
        made.push(write(path, &composer.growing(longest)?)?);
    }
    for note in composer.told() {
        tracing::warn!("{note}");
    }
    Ok(made)
}

/// Makes prompts of exact lengths.
struct Composer {
    tokenizer: Option<Arc<Tokenizer>>,
    seed: Seed,
    /// Where prompts are not quite as wished.
    notes: IndexSet<String>,
}

impl Composer {
    /// Prompts of one length.
    fn prompts(
        &mut self,
        tokens: u32,
        numbers: std::ops::Range<u64>,
    ) -> Result<Vec<String>, Failure> {
        let prompts = PromptSource::Generated {
            corpus: Corpus::Sonnets,
            tokens,
            shared_prefix_tokens: 0,
            prefix_groups: 1,
            instruction: Some(String::new()),
        };
        let tokenizer = self.tokenizer.clone();
        let made = Workload::new(
            &spec(prompts),
            Api::Completion,
            self.seed,
            tokenizer,
            None,
            1,
        );
        let workload = made.map_err(|error: WorkloadError| {
            let hint = error.hint();
            Failure::usage(error).with_hint(hint)
        })?;
        let text = |number| match workload.ask(Index::Arrival(number)).prompt {
            Prompt::Text(text) => text.to_string(),
            // Generated prompts of completions are texts.
            _ => String::new(),
        };
        self.notes.extend(workload.notes().iter().cloned());
        Ok(numbers.map(text).collect())
    }

    /// What is to be said of the files. Without a tokenizer each length would say the same.
    fn told(&self) -> Vec<&str> {
        const NO_TOKENIZER: &str = "no tokenizer: the lengths of the prompts are only about right, by rule of thumb; \
            hint: --tokenizer with the model's own makes them exact";
        match self.tokenizer {
            None => vec![NO_TOKENIZER],
            Some(_) => self.notes.iter().map(String::as_str).collect(),
        }
    }

    /// Prompts of all lengths, evenly from the shortest on.
    fn growing(&mut self, longest: u32) -> Result<Vec<String>, Failure> {
        let steps = (GROWING_COUNT - 1) / ALIKE;
        let above = longest.saturating_sub(SHORTEST);
        let mut all = Vec::new();
        for step in 0..=steps {
            let first = step * ALIKE;
            let last = (first + ALIKE).min(GROWING_COUNT);
            let length = SHORTEST.min(longest) + above * step / steps;
            all.extend(self.prompts(length, u64::from(first)..u64::from(last))?);
        }
        Ok(all)
    }
}

fn spec(prompts: PromptSource) -> Spec {
    Spec {
        prompts,
        output: LengthSpec {
            mean: 1,
            law: LengthLaw::Constant,
            range: 0.0,
            cap: None,
            jitter: 0,
        },
        tokenizer: None,
        shape: Shape::default(),
        forced: None,
        batch: Batch::default(),
        around: Around::default(),
    }
}

fn write(path: PathBuf, prompts: &[String]) -> Result<PathBuf, Failure> {
    let written = replace_by(&path, |file| -> io::Result<()> {
        let mut out = BufWriter::new(file);
        json_list(&mut out, prompts.iter().map(String::as_str))?;
        out.flush()
    });
    written.map_err(|error| unwritten(&path, error))?;
    Ok(path)
}

fn unwritten(path: &Path, error: io::Error) -> Failure {
    Failure::failed(anyhow!(error).context(format!("cannot write `{}`", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::BUILT_IN;

    fn wish<'a>(folder: &'a Path, lengths: &'a [u32]) -> SuiteWish<'a> {
        SuiteWish {
            folder,
            lengths,
            growing_to: None,
            count: 3,
            tokenizer: Some(BUILT_IN),
            seed: 1,
            force: false,
        }
    }

    fn read(path: &Path) -> Vec<String> {
        serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
    }

    fn tokens(prompts: &[String]) -> Vec<usize> {
        let tokenizer = Tokenizer::built_in().unwrap();
        prompts.iter().map(|text| tokenizer.count(text)).collect()
    }

    #[test]
    fn each_file_has_prompts_of_exactly_its_length() {
        let folder = tempfile::tempdir().unwrap();
        let made = ensure_suite(&wish(folder.path(), &[32, 300])).unwrap();
        assert_eq!(made.len(), 2);
        let long = read(&folder.path().join("prompts_length_300.json"));
        assert_eq!(tokens(&long), [300, 300, 300]);
        let short = read(&folder.path().join("prompts_length_32.json"));
        assert_eq!(tokens(&short), [32, 32, 32]);
        assert_ne!(short[0], short[1]);
    }

    #[test]
    fn what_is_not_as_wished_is_said_once() {
        let built_in = Some(Arc::new(Tokenizer::built_in().unwrap()));
        let notes = |tokenizer: Option<Arc<Tokenizer>>, tokens| {
            let (seed, notes) = (Seed(1), IndexSet::new());
            let mut composer = Composer {
                tokenizer,
                seed,
                notes,
            };
            for _ in 0..2 {
                composer.prompts(tokens, 0..3).unwrap();
            }
            composer.told().join("|")
        };
        assert!(notes(None, 64).starts_with("no tokenizer: the lengths"));
        let short = notes(built_in.clone(), 6);
        assert_eq!(
            short.matches("a prompt of 6 tokens leaves").count(),
            1,
            "{short}"
        );
        assert!(!notes(built_in, 64).contains("leaves"));
    }

    #[test]
    fn growing_prompts_go_from_the_shortest_to_the_longest() {
        let folder = tempfile::tempdir().unwrap();
        let growing = SuiteWish {
            growing_to: Some(200),
            ..wish(folder.path(), &[])
        };
        let made = ensure_suite(&growing).unwrap();
        let lengths = tokens(&read(&made[0]));
        assert_eq!(lengths.len(), 411);
        assert_eq!((lengths[0], lengths[410]), (16, 200));
        assert!(lengths.is_sorted());
    }

    #[test]
    fn what_is_there_is_left_alone_unless_it_is_to_be_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("prompts_length_32.json");
        fs::write(&file, "[\"mine\"]").unwrap();
        assert!(
            ensure_suite(&wish(folder.path(), &[32]))
                .unwrap()
                .is_empty()
        );
        assert_eq!(read(&file), ["mine"]);
        let again = SuiteWish {
            force: true,
            ..wish(folder.path(), &[32])
        };
        assert_eq!(ensure_suite(&again).unwrap(), std::slice::from_ref(&file));
        assert_eq!(read(&file).len(), 3);
    }
}
