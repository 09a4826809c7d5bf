//! The folder of prompts: files of lists of texts, one a length, and one of growing lengths. What is missing is made.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::anyhow;

use crate::app::data_set;
use crate::app::dataset::suite::{self, COUNT, LONGEST, SuiteWish, ensure_suite};
use crate::app::failure::Failure;
use crate::app::prepare::load_tokenizer;
use crate::app::surroundings::hub_paths;
use crate::workload::load::{DataWish, pin_data};
use crate::workload::{BUILT_IN, DataRef, Format, PromptSource};

/// The length that means prompts of all lengths, as upstream has it.
pub(super) const GROWING: u32 = 0;

/// How the files are written: a list of texts.
const FORMAT: Format = Format::Jsonl;

/// The prompts of a suite.
pub(super) struct Library {
    files: BTreeMap<u32, DataRef>,
}

/// Who counts prompts that are made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Maker<'a> {
    /// The tokenizer that somebody named.
    pub(super) tokenizer: Option<&'a str>,
    /// The model, whose tokenizer is tried where nobody named one.
    pub(super) model: &'a str,
    /// The most tokens that a prompt may have there, where the server says so.
    pub(super) longest: Option<u32>,
    pub(super) seed: u64,
}

impl Library {
    /// Opens the files of these lengths, and makes those that are missing.
    ///
    /// # Errors
    /// A file that cannot be read, or made.
    pub(super) fn open(folder: &Path, lengths: &[u32], maker: Maker<'_>) -> Result<Self, Failure> {
        let missing = |length: &&u32| !path(folder, **length).is_file();
        let missing: Vec<u32> = lengths.iter().filter(missing).copied().collect();
        if !missing.is_empty() {
            make(folder, &missing, maker)?;
        }
        let pinned = |length: &u32| Ok((*length, pin(&path(folder, *length))?));
        let files = lengths.iter().map(pinned).collect::<Result<_, Failure>>()?;
        Ok(Self { files })
    }

    /// Prompts of a length, shuffled by `seed`, from the one behind the first `skip` on.
    pub(super) fn source(
        &self,
        length: u32,
        seed: u64,
        skip: u64,
    ) -> Result<PromptSource, Failure> {
        let file = self.files.get(&length);
        let file = file.ok_or_else(|| Failure::failed(anyhow!("no prompts of {length} tokens")))?;
        Ok(PromptSource::Data(DataRef {
            shuffle_seed: Some(seed),
            skip,
            ..file.clone()
        }))
    }

    /// What the files hold: digests by names.
    pub(super) fn digests(&self) -> impl Iterator<Item = (String, String)> {
        let named = |(length, file): (&u32, &DataRef)| (name(*length), file.sha256.clone());
        self.files.iter().map(named)
    }
}

/// The name of a file.
pub(super) fn name(length: u32) -> String {
    match length {
        GROWING => suite::GROWING.to_owned(),
        length => suite::file_of(length),
    }
}

fn path(folder: &Path, length: u32) -> PathBuf {
    folder.join(name(length))
}

fn pin(path: &Path) -> Result<DataRef, Failure> {
    let wish = DataWish {
        path,
        format: Some(FORMAT),
        column: None,
        shuffle_seed: None,
        limit: None,
    };
    Ok(pin_data(wish).map_err(data_set::failure)?.reference)
}

/// Makes files of prompts.
fn make(folder: &Path, lengths: &[u32], maker: Maker<'_>) -> Result<(), Failure> {
    let tokenizer = maker.tokenizer();
    let made = ensure_suite(&SuiteWish {
        folder,
        lengths: &lengths
            .iter()
            .copied()
            .filter(|length| *length != GROWING)
            .collect::<Vec<_>>(),
        growing_to: lengths.contains(&GROWING).then(|| maker.longest_prompt()),
        count: COUNT,
        tokenizer: Some(&tokenizer),
        seed: maker.seed,
        force: false,
    })?;
    for path in made {
        tracing::info!("written: {}", path.display());
    }
    Ok(())
}

/// Tokens that stand before a prompt and behind it: letters, a beginning's mark, the answer.
const AROUND: u32 = 16;

impl Maker<'_> {
    /// The longest of the growing prompts.
    fn longest_prompt(&self) -> u32 {
        let room = self.longest.map(|all| all.saturating_sub(AROUND).max(1));
        room.map_or(LONGEST, |room| room.min(LONGEST))
    }

    /// Whose tokens are counted: the tokenizer that somebody named, else the model's where it can be had.
    fn tokenizer(&self) -> String {
        if let Some(named) = self.tokenizer {
            return named.to_owned();
        }
        if load_tokenizer(self.model, &hub_paths()).is_ok() {
            return self.model.to_owned();
        }
        tracing::warn!(
            "the tokenizer of `{}` cannot be had: prompts are made with the built-in one, and their lengths are about right; \
             --tokenizer NAME|FILE makes them exact",
            self.model
        );
        BUILT_IN.to_owned()
    }
}
