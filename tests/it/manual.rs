//! What shells and `man` are told of the command line, in the hands of a real shell and a real formatter.

use std::io::Write as _;
use std::process::Command;

use crate::process::Program;

fn script(shell: &str) -> String {
    let ended = Program::start(&format!("completions {shell}")).wait();
    ended.expect(0).stdout
}

/// What bash would offer for the last word of `line`.
fn offered(line: &str) -> Vec<String> {
    let words: Vec<&str> = line.split(' ').collect();
    let asked = format!(
        "{}\nCOMP_WORDS=({}); COMP_CWORD={}; _llmload llmload '{}' '{}'; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        script("bash"),
        words
            .iter()
            .map(|word| format!("'{word}'"))
            .collect::<Vec<_>>()
            .join(" "),
        words.len() - 1,
        words[words.len() - 1],
        words[words.len().saturating_sub(2)],
    );
    // A script is too long for an argument.
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(asked.as_bytes()).unwrap();
    let said = Command::new("bash").arg(file.path()).output().unwrap();
    assert!(
        said.status.success(),
        "{}",
        String::from_utf8_lossy(&said.stderr)
    );
    let text = String::from_utf8(said.stdout).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_options_and_their_values() {
    assert_eq!(offered("llmload bench-s"), ["bench-self", "bench-suite"]);
    assert_eq!(offered("llmload run --summary"), ["--summary-file"]);
    let laws = offered("llmload run --qps-distribution ");
    assert!(laws.contains(&"exponential".to_owned()), "{laws:?}");
}

#[test]
fn every_shell_has_a_script_and_no_other() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = script(shell);
        assert!(script.contains("summary-file"), "{shell}");
    }
    let ended = Program::start("completions tcsh").wait().expect(2);
    assert!(ended.stderr.contains("invalid value 'tcsh'"));
}

#[test]
fn each_command_has_a_page_that_a_formatter_takes() {
    let ended = Program::start("man --dir pages").wait().expect(0);
    let mut names: Vec<String> = std::fs::read_dir(ended.path("pages"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    for wanted in [
        "llmload.1",
        "llmload-run.1",
        "llmload-master.1",
        "llmload-man.1",
    ] {
        assert!(names.contains(&wanted.to_owned()), "{names:?}");
    }
    let page = ended.read("pages/llmload-run.1");
    assert!(
        page.starts_with(".ie") && page.contains(".TH llmload\\-run 1") || page.contains(".TH")
    );
    assert!(
        page.contains("\\-\\-summary\\-file") && page.contains(".SH"),
        "{page}"
    );
    let printed = Program::start("man run").wait().expect(0);
    assert_eq!(printed.stdout, page);
    // Not every machine has a formatter.
    for name in names {
        let formatted = Command::new("groff")
            .args(["-man", "-ww", "-z", "-Tutf8", "-K", "utf8"])
            .arg(ended.path("pages").join(&name))
            .output();
        if let Ok(formatted) = formatted {
            let complaints = String::from_utf8_lossy(&formatted.stderr);
            assert!(complaints.is_empty(), "{name}: {complaints}");
        }
    }
    let none = Program::start("man nothing").wait().expect(2);
    assert!(none.stderr.contains("there is no command `nothing`"));
}
