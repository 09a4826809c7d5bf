//! Writes the report on a folder of raw results: texts, pictures, the page, and all raw results in one archive.
//! What is on them is made elsewhere.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Write};
use std::path::Path;

use anyhow::{Context as _, anyhow};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use super::store::{ARCHIVE, RAW, is_raw, write};
use crate::app::failure::Failure;
use crate::app::files::replace_by;
use crate::chart::{self, Figure};
use crate::page;
use crate::serving::{self, Content, Files, Raw, SuiteSettings};

/// Draws the report on `raws` below `folder`, and its page also to `html`. Returns the files, and what had to be left out.
///
/// # Errors
/// A file cannot be written, or there is nothing to report.
pub(super) fn report(
    folder: &Path,
    raws: &BTreeMap<String, Raw>,
    settings: Option<&SuiteSettings>,
    html: Option<&Path>,
) -> Result<(Files, Vec<String>), Failure> {
    if raws.is_empty() {
        let error = anyhow!("`{}` has no raw results", folder.display());
        return Err(Failure::failed(error));
    }
    let (files, left_out) = serving::report(raws, settings);
    remove_others(folder, &files)?;
    for (name, content) in &files {
        let path = folder.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)
                .with_context(|| format!("cannot make the folder `{}`", parent.display()))
                .map_err(Failure::failed)?;
        }
        match content {
            Content::Text(text) => write(&path, text)?,
            Content::Picture(figure) => draw(&path, figure)?,
            Content::Page(page) => {
                let text = page::html(page).map_err(Failure::failed)?;
                for path in [Some(path.as_path()), html].into_iter().flatten() {
                    write(path, &text)?;
                }
            }
        }
    }
    Ok((files, left_out))
}

/// Whether anything of the raw results is on the report.
pub(super) fn has_graphs(files: &Files) -> bool {
    files
        .values()
        .any(|content| matches!(content, Content::Picture(_)))
}

/// Folders of a report, and how names of its graphs and their data begin.
const FOLDERS: [&str; 5] = [
    "report",
    "report/data",
    "report/speed_generation",
    "report/speed_generation/data",
    "report/kv_cache_profile",
];
const GRAPHS: [&str; 5] = [
    "prompt_ingestion_graph",
    "speed_generation_graph_",
    "total_speed_generation_graph",
    "graph_kv_cache_profile_",
    "thresholds.csv",
];

/// Removes graphs of an earlier report that this one leaves out.
fn remove_others(folder: &Path, files: &Files) -> Result<(), Failure> {
    for place in FOLDERS {
        // What is not there has nothing to remove.
        let Ok(entries) = fs::read_dir(folder.join(place)) else {
            continue;
        };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = format!("{place}/{}", name.replace(".svg", ".png"));
            let is_graph = GRAPHS.iter().any(|begin| name.starts_with(begin));
            if is_graph && !files.contains_key(&path) {
                fs::remove_file(entry.path())
                    .with_context(|| format!("cannot remove `{}`", entry.path().display()))
                    .map_err(Failure::failed)?;
            }
        }
    }
    Ok(())
}

/// As PNG, and as SVG beside it.
fn draw(path: &Path, figure: &Figure) -> Result<(), Failure> {
    let (svg, png) = (chart::svg(figure), chart::png(figure));
    let (svg, png) = svg
        .and_then(|svg| Ok((svg, png?)))
        .map_err(Failure::failed)?;
    write(&path.with_extension("svg"), &svg)?;
    write_bytes(&path.with_extension("png"), &png)
}

/// Packs all raw results of `folder`, which stay where they are. The same files make the same bytes.
///
/// # Errors
/// One cannot be read, or the archive not be written.
pub(super) fn pack(folder: &Path) -> Result<(), Failure> {
    let packed = || -> anyhow::Result<Vec<u8>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(folder.join(RAW))? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if is_raw(&name) {
                names.push(name);
            }
        }
        names.sort();
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .last_modified_time(DateTime::default());
        let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
        for name in names {
            archive.start_file(name.as_str(), options)?;
            archive.write_all(&fs::read(folder.join(RAW).join(&name))?)?;
        }
        Ok(archive.finish()?.into_inner())
    };
    let bytes = packed().with_context(|| format!("cannot pack `{}`", folder.join(RAW).display()));
    write_bytes(&folder.join(ARCHIVE), &bytes.map_err(Failure::failed)?)
}

fn write_bytes(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    replace_by(path, |file| file.write_all(bytes))
        .with_context(|| format!("cannot write `{}`", path.display()))
        .map_err(|error| Failure::failed(error).hint("is the disk full?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_raw_results_make_the_same_archive() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(RAW)).unwrap();
        for name in [
            "prompt_ingestion_1.json",
            "prompt_ingestion_0.json",
            "note.txt",
        ] {
            fs::write(folder.path().join(RAW).join(name), name).unwrap();
        }
        pack(folder.path()).unwrap();
        let first = fs::read(folder.path().join(ARCHIVE)).unwrap();
        let archive = zip::ZipArchive::new(Cursor::new(first.clone())).unwrap();
        let names: Vec<_> = archive.file_names().filter_map(Result::ok).collect();
        assert_eq!(names.len(), 2, "{names:?}");
        std::thread::sleep(std::time::Duration::from_millis(20));
        fs::write(
            folder.path().join(RAW).join("prompt_ingestion_0.json"),
            "prompt_ingestion_0.json",
        )
        .unwrap();
        pack(folder.path()).unwrap();
        assert_eq!(fs::read(folder.path().join(ARCHIVE)).unwrap(), first);
    }
}
