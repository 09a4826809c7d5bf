//! What the documents promise: every option that a table of docs/migrating.md names is one of the program's, and every
//! link leads to something.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::process::Program;

/// The options in the help of a command, with their other names.
fn options_of(command: &str) -> BTreeSet<String> {
    let help = Program::start(&format!("{command} --help"))
        .wait()
        .expect(0);
    let is_name = |word: &&str| word.starts_with('-') && word.len() > 1;
    let words = help
        .stdout
        .split(|c: char| c.is_whitespace() || ",[]<>=`".contains(c));
    words.filter(is_name).map(str::to_owned).collect()
}

/// The words in code spans of a table's cell that are options.
fn options_in(cell: &str) -> impl Iterator<Item = &str> {
    let spans = cell.split('`').skip(1).step_by(2);
    spans.filter(|span| span.starts_with('-'))
}

#[test]
fn every_option_of_the_tables_for_users_of_other_tools_is_one_of_the_programs() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/migrating.md");
    let text = fs::read_to_string(path).unwrap();
    let mut checked = 0;
    for section in text.split("<!-- llmload: ").skip(1) {
        let (commands, rest) = section.split_once(" -->").unwrap();
        let known: BTreeSet<String> = commands.split(' ').flat_map(options_of).collect();
        let rows = rest.split("\n## ").next().unwrap().lines();
        for row in rows.filter(|line| line.starts_with("| ")).skip(1) {
            let cell = row.split(" | ").nth(1).unwrap();
            for option in options_in(cell) {
                assert!(known.contains(option), "{option} is none of {commands}");
                checked += 1;
            }
        }
    }
    assert!(checked > 100, "only {checked} options were found");
}

/// The commands in the blocks of a document that a shell is to run, continued lines joined.
fn commands_in(text: &str) -> Vec<String> {
    let blocks = text.split("```sh\n").skip(1);
    let blocks = blocks.filter_map(|rest| rest.split_once("```").map(|(block, _)| block));
    let joined: Vec<String> = blocks.map(|block| block.replace("\\\n", " ")).collect();
    let lines = joined.iter().flat_map(|block| block.lines());
    lines
        .filter_map(|line| line.split_once("llmload ").map(|(_, words)| words))
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_command_is_in_the_document_of_commands_with_options_that_it_has() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/commands.md");
    let text = fs::read_to_string(path).unwrap();
    let mut shown = BTreeSet::new();
    for words in commands_in(&text) {
        let command = words.split(' ').next().unwrap();
        let known = match words.split(' ').nth(1) {
            Some(own) if command == "dataset" => options_of(&format!("dataset {own}")),
            _ => options_of(command),
        };
        let words = words.split(" #").next().unwrap();
        for option in words.split(' ').filter(|word| word.starts_with("--")) {
            let name = option.split('=').next().unwrap();
            assert!(known.contains(name), "{name} is none of {command}");
        }
        shown.insert(command.to_owned());
    }
    let help = Program::start("--help").wait().expect(0).stdout;
    let listed = help.split("Commands:\n").nth(1).unwrap();
    let listed = listed.split("\n\n").next().unwrap().lines();
    // Lines that only go on with a description are further in.
    let named = listed.filter(|line| !line.starts_with("   "));
    let all: BTreeSet<String> = named
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect();
    // The suite is described beside its single benchmarks, for it takes minutes.
    let missing: Vec<_> = all
        .difference(&shown)
        .filter(|name| !text.contains(&format!("`llmload {name}")))
        .collect();
    assert!(
        missing.is_empty() && all.len() > 20,
        "{missing:?} of {all:?}"
    );
}

/// How a heading is named in a link.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text
        .chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// The targets of a document's links, without those into the world.
fn links(text: &str) -> Vec<&str> {
    let ends = text.split("](").skip(1);
    let targets = ends.filter_map(|rest| rest.split_once(')').map(|(target, _)| target));
    targets.filter(|target| !target.contains("://")).collect()
}

#[test]
fn every_link_of_the_documents_leads_to_something() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut documents = vec![root.join("README.md"), root.join("src/ARCHITECTURE.md")];
    let docs = fs::read_dir(root.join("docs")).unwrap();
    let docs = docs.map(|entry| entry.unwrap().path());
    documents.extend(docs.filter(|path| path.extension().is_some_and(|ending| ending == "md")));
    let mut checked = 0;
    for document in documents {
        let text = fs::read_to_string(&document).unwrap();
        for link in links(&text) {
            let (path, fragment) = link.split_once('#').unwrap_or((link, ""));
            let target = match path {
                "" => document.clone(),
                _ => document.parent().unwrap().join(path),
            };
            assert!(target.exists(), "{}: no {link}", document.display());
            if !fragment.is_empty() {
                let there = fs::read_to_string(&target).unwrap();
                let mut headings = there.lines().filter(|line| line.starts_with('#'));
                let found = headings.any(|heading| anchor(heading) == fragment);
                assert!(found, "{}: no heading {link}", document.display());
            }
            checked += 1;
        }
    }
    assert!(checked > 40, "only {checked} links were found");
}
