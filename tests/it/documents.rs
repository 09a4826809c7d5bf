//! What the documents promise: every option that a table of docs/migrating.md names is one of the program's.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::process::Program;

/// The options in the help of a command, with their other names.
fn options_of(command: &str) -> BTreeSet<String> {
    let help = Program::start(&format!("{command} --help")).wait().expect(0);
    let is_name = |word: &&str| word.starts_with('-') && word.len() > 1;
    let words = help.stdout.split(|c: char| c.is_whitespace() || ",[]<>=`".contains(c));
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
