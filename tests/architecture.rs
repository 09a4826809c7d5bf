//! The floor plan, executable: who imports whom, what pure rooms may not mention, how long a file may be.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const LONGEST_FILE: usize = 600;
const PURE: [&str; 21] = [
    "domain",
    "workload",
    "schedule",
    "provider",
    "metrics",
    "plan",
    "report",
    "config",
    "chart",
    "suite",
    "llmperf",
    "compare",
    "gauges",
    "page",
    "serving",
    "telemetry",
    "database",
    "tui",
    "doctor",
    "export",
    "web",
];
const WORLDLY: [&str; 8] = [
    "tokio::",
    "async fn",
    ".await",
    "std::net",
    "std::fs",
    "HashMap",
    "std::env",
    "SystemTime",
];
/// The files of a pure room that read files.
const EXCEPT: [&str; 2] = ["src/workload/load.rs", "src/workload/data/file.rs"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
}

/// `src/app/mod.rs` and `src/plan.rs` belong to the rooms `app` and `plan`; `src/lib.rs` to none.
fn room_of(file: &str) -> Option<String> {
    let rest = file.strip_prefix("src/")?;
    let room = rest.split('/').next()?.trim_end_matches(".rs");
    (room != "lib").then(|| room.to_owned())
}

/// Code without its comments and without its test module: both may name what they like.
fn code_of(text: &str) -> String {
    let before_tests = text.split("#[cfg(test)]\nmod").next().unwrap_or(text);
    before_tests
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n")
}

fn import_table() -> BTreeMap<String, BTreeSet<String>> {
    let text = fs::read_to_string(root().join("src/ARCHITECTURE.md")).unwrap();
    let section = text
        .split("## Who may import whom")
        .nth(1)
        .unwrap()
        .split("\n## ")
        .next()
        .unwrap();
    let rows = section
        .lines()
        .filter(|line| line.starts_with("| "))
        .skip(1);
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let allowed = cells[1]
            .split(", ")
            .filter(|name| *name != "–")
            .map(str::to_owned)
            .collect();
        (cells[0].to_owned(), allowed)
    })
    .collect()
}

fn rooms_named_in(code: &str) -> BTreeSet<String> {
    let mut rooms = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let group = group.split('}').next().unwrap();
            rooms.extend(
                group
                    .split(',')
                    .filter_map(|item| leading_name(item.trim())),
            );
        } else {
            rooms.extend(leading_name(rest));
        }
    }
    rooms
}

fn leading_name(text: &str) -> Option<String> {
    let name: String = text
        .chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect();
    (!name.is_empty()).then_some(name)
}

#[test]
fn rooms_import_only_what_the_table_allows() {
    let table = import_table();
    assert!(table.len() >= 13, "the table was not understood: {table:?}");
    let mut wrong = Vec::new();
    for path in rust_files(&root().join("src")) {
        let file = relative(&path);
        let Some(room) = room_of(&file) else { continue };
        let allowed = table
            .get(&room)
            .unwrap_or_else(|| panic!("room `{room}` ({file}) is not in the table"));
        for named in rooms_named_in(&code_of(&fs::read_to_string(&path).unwrap())) {
            if named != room && table.contains_key(&named) && !allowed.contains(&named) {
                wrong.push(format!("{file}: {room} imports {named}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_table_has_no_cycle() {
    let mut table = import_table();
    while let Some(leaf) = table
        .iter()
        .find(|(_, imports)| imports.is_empty())
        .map(|(room, _)| room.clone())
    {
        table.remove(&leaf);
        for imports in table.values_mut() {
            imports.remove(&leaf);
        }
    }
    assert!(table.is_empty(), "these rooms import each other: {table:?}");
}

#[test]
fn pure_rooms_do_not_touch_the_world() {
    let mut wrong = Vec::new();
    for path in rust_files(&root().join("src")) {
        let file = relative(&path);
        let Some(room) = room_of(&file) else { continue };
        if !PURE.contains(&room.as_str()) || EXCEPT.contains(&file.as_str()) {
            continue;
        }
        let code = code_of(&fs::read_to_string(&path).unwrap());
        wrong.extend(
            WORLDLY
                .iter()
                .filter(|word| code.contains(**word))
                .map(|word| format!("{file}: {word}")),
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_cluster_machines_do_not_touch_the_world() {
    for name in ["master", "worker", "membership", "clock", "message", "wire"] {
        for path in [
            format!("src/cluster/{name}.rs"),
            format!("src/cluster/{name}/mod.rs"),
        ] {
            let Ok(text) = fs::read_to_string(root().join(&path)) else {
                continue;
            };
            let code = code_of(&text);
            for word in WORLDLY {
                assert!(!code.contains(word), "{path}: {word}");
            }
        }
    }
}

#[test]
fn every_file_says_what_it_is_and_stays_short() {
    let mut wrong = Vec::new();
    let folders = ["src", "bin", "proto", "tests"];
    for path in folders
        .iter()
        .flat_map(|folder| rust_files(&root().join(folder)))
    {
        let file = relative(&path);
        let text = fs::read_to_string(&path).unwrap();
        if file != "src/lib.rs" && !text.starts_with("//!") {
            wrong.push(format!("{file}: does not open with `//!`"));
        }
        let lines = text.lines().count();
        if lines > LONGEST_FILE {
            wrong.push(format!("{file}: {lines} lines"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_binary_is_thin() {
    let text = fs::read_to_string(root().join("bin/llmload.rs")).unwrap();
    assert!(text.lines().count() <= 30);
}
