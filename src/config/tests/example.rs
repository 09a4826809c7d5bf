//! The example file against the options: each is in it, can be switched on, and shows its default.

use std::collections::BTreeSet;

use super::super::catalogue::Shape;
use super::super::layers::SHARING;
use super::super::*;
use super::help::all_settings;
use super::{Around, resolved};

const EXAMPLE: &str = include_str!("../../../locust.conf.example");

/// The switched-off lines of the example, switched on.
fn example_lines() -> Vec<String> {
    let is_key = |line: &&str| line.starts_with(|letter: char| letter.is_ascii_lowercase());
    let lines = EXAMPLE.lines().filter_map(|line| line.strip_prefix('#'));
    lines.filter(is_key).map(str::to_owned).collect()
}

#[test]
fn the_example_has_every_key_and_no_other() {
    let written: Vec<String> = example_lines()
        .iter()
        .map(|line| line.split(' ').next().unwrap().to_owned())
        .collect();
    let unique: BTreeSet<_> = written.iter().cloned().collect();
    assert_eq!(unique.len(), written.len(), "a key stands twice");
    let known: BTreeSet<_> = all_settings()
        .into_iter()
        .filter(|(_, setting)| setting.in_files())
        .map(|(_, setting)| setting.long)
        .collect();
    assert_eq!(unique, known);
}

#[test]
fn every_line_of_the_example_can_be_switched_on() {
    let lines = example_lines();
    assert!(lines.len() > 60, "{}", lines.len());
    // The files of TLS mean nothing one by one.
    let of_tls = |line: &&String| line.starts_with("tls-");
    let together: Vec<_> = lines.iter().filter(of_tls).cloned().collect();
    let alone = lines.iter().filter(|line| !of_tls(line)).cloned();
    for line in alone.chain([together.join("\n")]) {
        for name in SHARING {
            let outcome = resolved(name, &Around::conf(&line));
            assert!(outcome.is_ok(), "{name} {line}: {outcome:?}");
        }
    }
    for name in SHARING {
        assert!(resolved(name, &Around::conf(EXAMPLE)).is_ok());
    }
}

#[test]
fn the_example_shows_the_defaults() {
    let lines = example_lines();
    for (name, setting) in all_settings() {
        let cli = command();
        let sub = cli.find_subcommand(name).unwrap();
        let arg = sub
            .get_arguments()
            .find(|arg| *arg.get_id() == setting.id)
            .unwrap();
        let default = match setting.shape {
            Shape::Flag { default } => Some(default.to_string()),
            _ => arg
                .get_default_values()
                .first()
                .map(|value| value.to_string_lossy().into_owned()),
        };
        if let Some(default) = default.filter(|_| setting.in_files()) {
            let line = format!("{} = {default}", setting.long);
            assert!(lines.contains(&line), "{line}");
        }
    }
}
