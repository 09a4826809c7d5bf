//! The prompts of a bench suite: files of JSON arrays, of exact lengths for a tokenizer, in the names that the suite reads.
//! It composes no text, and runs no benchmark.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;

use super::generate::{Row, json_list};
use super::tokenizer;
use crate::app::failure::{Failure, status};
use crate::app::files::replace_by;
use crate::domain::Seed;
use crate::workload::{BUILT_IN, ExactTexts, WorkloadError};

/// The lengths of the usual files, in tokens.
pub(in crate::app) const LENGTHS: [u32; 7] = [32, 128, 256, 512, 1_024, 2_048, 4_096];
/// Prompts of a file of one length.
pub(in crate::app) const PROMPTS: u32 = 1_000;
/// Prompts of a file at most.
pub(in crate::app) const MOST_PROMPTS: u32 = 1_000_000;
/// Prompts of the file of growing ones, and their shortest and longest.
const GROWING: (u32, u32, u32) = (411, 16, 4_096);
/// The longest prompt: beyond it draws would no longer be told apart.
pub(in crate::app) const LONGEST: u32 = (1 << 24) - 1;

/// A file of the suite's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::app) struct SuiteFile {
    /// Where it is.
    pub(in crate::app) path: PathBuf,
    /// Its prompts, where it was made now; those of a file that was there nobody counted.
    pub(in crate::app) made: Option<u32>,
}

/// What a folder shall hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish<'a> {
    pub(super) folder: &'a Path,
    pub(super) lengths: &'a [u32],
    pub(super) with_growing: bool,
    /// Prompts of a file of one length.
    pub(super) count: u32,
    /// `None`: the built-in one.
    pub(super) tokenizer: Option<&'a str>,
    pub(super) seed: u64,
    /// Make also what is there.
    pub(super) force: bool,
}

/// Prompts of one file, by their lengths.
struct File {
    path: PathBuf,
    lengths: Vec<u32>,
}

/// Makes the files that are missing in `folder`; those that are there are left as they are. Without a tokenizer they are made by
/// the built-in one, and their lengths are about right.
///
/// # Errors
/// A tokenizer that cannot be loaded or used, a folder or a file that cannot be written.
#[expect(
    dead_code,
    reason = "the bench suite calls it, which comes with another part"
)]
pub(in crate::app) fn ensure_suite(
    folder: &Path,
    lengths: &[u32],
    with_growing: bool,
    tokenizer: Option<&str>,
    seed: u64,
) -> Result<Vec<SuiteFile>, Failure> {
    make(Wish {
        folder,
        lengths,
        with_growing,
        count: PROMPTS,
        tokenizer,
        seed,
        force: false,
    })
}

/// The name of the file of prompts of one length.
pub(in crate::app) fn file_name(tokens: u32) -> String {
    format!("prompts_length_{tokens}.json")
}

/// The name of the file of growing prompts.
pub(in crate::app) const GROWING_FILE: &str = "growing_prompts.json";

/// `dataset generate --suite`.
pub(super) fn generate(wish: Wish<'_>) -> Result<u8, Failure> {
    for file in make(wish)? {
        let name = file.path.display();
        match file.made {
            Some(prompts) => tracing::info!("{prompts} prompts in {name}"),
            None => tracing::info!("{name} is there already; --force makes it again"),
        }
    }
    Ok(status::OK)
}

/// Makes what is missing.
pub(super) fn make(wish: Wish<'_>) -> Result<Vec<SuiteFile>, Failure> {
    let files = files(wish);
    let is_wanted = |file: &File| wish.force || !file.path.exists();
    let mut texts = None;
    if files.iter().any(is_wanted) {
        fs::create_dir_all(wish.folder)
            .with_context(|| format!("cannot make the folder `{}`", wish.folder.display()))
            .map_err(Failure::usage)?;
        texts = Some(exact_texts(wish)?);
    }
    let mut found = Vec::new();
    for file in files {
        let made = match &texts {
            Some(texts) if is_wanted(&file) => Some(write(&file, texts)?),
            _ => None,
        };
        let path = file.path;
        found.push(SuiteFile { path, made });
    }
    Ok(found)
}

fn files(wish: Wish<'_>) -> Vec<File> {
    let lengths: BTreeSet<u32> = wish.lengths.iter().copied().collect();
    let of_one_length = lengths.into_iter().map(|tokens| File {
        path: wish.folder.join(file_name(tokens)),
        lengths: (0..wish.count).map(|_| tokens).collect(),
    });
    let growing = wish.with_growing.then(|| File {
        path: wish.folder.join(GROWING_FILE),
        lengths: growing(),
    });
    of_one_length.chain(growing).collect()
}

/// Lengths that are spread evenly.
fn growing() -> Vec<u32> {
    let (count, least, most) = GROWING;
    let steps = count - 1;
    (0..count)
        .map(|at| least + (at * (most - least) + steps / 2) / steps)
        .collect()
}

fn exact_texts(wish: Wish<'_>) -> Result<ExactTexts, Failure> {
    let name = wish.tokenizer.unwrap_or(BUILT_IN);
    if wish.tokenizer.is_none() {
        tracing::warn!(
            "no tokenizer: the lengths of prompts are only about right; --tokenizer with the model's own makes them exact"
        );
    }
    let made = ExactTexts::new(Arc::new(tokenizer(name)?), Seed(wish.seed));
    let texts = made.map_err(|error: WorkloadError| {
        let hint = error.hint();
        Failure::usage(error).with_hint(hint)
    })?;
    let added = texts.added();
    if added > 0 {
        tracing::info!(
            "lengths are those of the text alone: a server that puts the tokenizer's {added} special token(s) before it counts so many more"
        );
    }
    Ok(texts)
}

/// Writes one file, and says how many prompts it has.
fn write(file: &File, texts: &ExactTexts) -> Result<u32, Failure> {
    let (mut off, mut distinct) = (0_u64, BTreeSet::new());
    let prompts = file.lengths.iter().zip(0_u32..).map(|(&tokens, number)| {
        let (prompt, got) = texts.text(tokens, number);
        off += u64::from(got != tokens);
        let _again = distinct.insert(digest(&prompt));
        Row {
            prompt,
            max_tokens: None,
        }
    });
    let written: io::Result<()> = replace_by(&file.path, |out| {
        let mut out = BufWriter::new(out);
        json_list(&mut out, prompts)?;
        out.flush()
    });
    let name = file.path.display();
    written
        .with_context(|| format!("cannot write `{name}`"))
        .map_err(Failure::failed)?;
    if off > 0 {
        tracing::warn!(
            "{off} prompts of {name} are not of their length: the tokenizer gives no text that one"
        );
    }
    if distinct.len() < file.lengths.len() {
        let (distinct, all) = (distinct.len(), file.lengths.len());
        tracing::warn!(
            "only {distinct} of the {all} prompts of {name} differ: they are too short for more"
        );
    }
    Ok(u32::try_from(file.lengths.len()).unwrap_or(u32::MAX))
}

fn digest(text: &str) -> [u8; 32] {
    use sha2::{Digest as _, Sha256};
    Sha256::digest(text).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::Tokenizer;

    fn wish(folder: &Path) -> Wish<'_> {
        Wish {
            folder,
            lengths: &[64, 32],
            with_growing: true,
            count: 20,
            tokenizer: None,
            seed: 3,
            force: false,
        }
    }

    fn prompts(path: &Path) -> Vec<String> {
        serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
    }

    #[test]
    fn lengths_grow_evenly_from_the_first_to_the_last() {
        let lengths = growing();
        assert_eq!((lengths.len(), lengths[0], lengths[410]), (411, 16, 4_096));
        let steps = lengths.windows(2).map(|pair| pair[1] - pair[0]);
        assert!(steps.clone().all(|step| (9..=10).contains(&step)));
    }

    #[test]
    fn the_files_have_their_lengths_and_are_equal_wherever_they_are_made() {
        let [one, other] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let found = make(wish(one.path())).unwrap();
        let made: Vec<_> = found
            .iter()
            .map(|file| (file.path.file_name().unwrap().to_str().unwrap(), file.made))
            .collect();
        assert_eq!(
            made,
            [
                ("prompts_length_32.json", Some(20)),
                ("prompts_length_64.json", Some(20)),
                ("growing_prompts.json", Some(411)),
            ]
        );
        let tokenizer = Tokenizer::built_in().unwrap();
        for (file, lengths) in found.iter().zip([vec![32; 20], vec![64; 20], growing()]) {
            let counts: Vec<_> = prompts(&file.path)
                .iter()
                .map(|prompt| u32::try_from(tokenizer.count(prompt)).unwrap())
                .collect();
            assert_eq!(counts, lengths, "{}", file.path.display());
        }
        let again = make(wish(other.path())).unwrap();
        for (file, same) in found.iter().zip(&again) {
            assert_eq!(fs::read(&file.path).unwrap(), fs::read(&same.path).unwrap());
        }
    }

    #[test]
    fn what_is_there_stays_unless_it_is_forced() {
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().join(file_name(32));
        fs::write(&own, "[\"mine\"]").unwrap();
        let few = Wish {
            with_growing: false,
            ..wish(folder.path())
        };
        let found = make(few).unwrap();
        assert_eq!((found[0].made, found[1].made), (None, Some(20)));
        assert_eq!(prompts(&own), ["mine"]);
        let forced = make(Wish { force: true, ..few }).unwrap();
        assert_eq!(forced[0].made, Some(20));
        assert_eq!(prompts(&own).len(), 20);
    }
}
