//! An exam for people and for programs. It judges nothing.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::finding::{Exam, Finding, Level, Part};

/// A line for each finding, a hint below it, and how many there are of each kind.
pub(crate) fn text(exam: &Exam) -> String {
    let widest = |word: fn(&Finding) -> &str| {
        let findings = exam.findings.iter();
        findings
            .map(|(_, it)| word(it).chars().count())
            .max()
            .unwrap_or(0)
    };
    let (level, check) = (widest(|it| it.level.name()), widest(|it| it.check));
    let mut text = String::new();
    for part in Part::ALL {
        let mut of_it = exam
            .findings
            .iter()
            .filter(|(of, _)| *of == part)
            .peekable();
        if of_it.peek().is_some() {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{}", part.name());
        }
        for (_, it) in of_it {
            let name = it.level.name();
            let _ = writeln!(text, "  {name:<level$}  {:<check$}  {}", it.check, it.words);
            if let Some(hint) = &it.hint {
                let _ = writeln!(text, "  {:level$}  {:check$}  hint: {hint}", "", "");
            }
        }
    }
    let _ = writeln!(text, "{}", closing(exam));
    text
}

fn closing(exam: &Exam) -> String {
    let many = |level: Level, one: &str| match exam.count(level) {
        0 => format!("no {one}s"),
        1 => format!("1 {one}"),
        more => format!("{more} {one}s"),
    };
    format!(
        "{}, {}, {} ok",
        many(Level::Problem, "problem"),
        many(Level::Warning, "warning"),
        exam.count(Level::Ok)
    )
}

/// The same as one indented object with a line end. `strict` says what it was held to.
pub(crate) fn json(exam: &Exam, strict: bool) -> String {
    let findings: Vec<Value> = exam
        .findings
        .iter()
        .map(|(part, it)| {
            json!({
                "part": part.name(),
                "check": it.check,
                "level": it.level.name(),
                "words": it.words,
                "hint": it.hint,
            })
        })
        .collect();
    let whole = json!({
        "passed": exam.is_passed(strict),
        "strict": strict,
        "problems": exam.count(Level::Problem),
        "warnings": exam.count(Level::Warning),
        "findings": findings,
    });
    format!("{whole:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exam() -> Exam {
        let mut exam = Exam::default();
        let server = Finding::problem("streaming", "all at once", "ask it directly");
        exam.note(Part::Server, server);
        exam.note(Part::Machine, Finding::ok("open files", "plenty"));
        let late = Finding::warning("timers", "2 ms late", "another machine");
        exam.note(Part::Machine, late);
        exam
    }

    #[test]
    fn an_exam_reads_like_this() {
        insta::assert_snapshot!(text(&exam()), @r"
        machine
          ok       open files  plenty
          warning  timers      2 ms late
                               hint: another machine
        server
          problem  streaming   all at once
                               hint: ask it directly
        1 problem, 1 warning, 1 ok
        ");
    }

    #[test]
    fn programs_read_the_same() {
        let read: Value = serde_json::from_str(&json(&exam(), true)).unwrap();
        assert_eq!(
            (&read["passed"], &read["problems"]),
            (&json!(false), &json!(1))
        );
        let first = &read["findings"][0];
        assert_eq!(
            (&first["part"], &first["level"]),
            (&json!("server"), &json!("problem"))
        );
        assert_eq!(read["findings"][1]["hint"], Value::Null);
    }
}
