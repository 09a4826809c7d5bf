//! One thing that was looked at, how it is, and what to do. It knows no check by name.

/// How a thing is, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// As it should be.
    Ok,
    /// It could not be looked at here, or there is nothing to look at.
    Skipped,
    /// A run can begin, and its figures may suffer.
    Warning,
    /// A run would fail, or would not measure what it says.
    Problem,
}

impl Level {
    /// The word for it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Skipped => "skipped",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }
}

/// What a check is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// This machine's limits.
    Machine,
    /// Its clocks and timers.
    Clock,
    /// The server and the way to it.
    Server,
    /// The master of a cluster.
    Master,
    /// Where results go.
    Results,
}

impl Part {
    /// All of them, in the order in which they are told.
    pub(crate) const ALL: [Self; 5] = [
        Self::Machine,
        Self::Clock,
        Self::Server,
        Self::Master,
        Self::Results,
    ];

    /// The word for it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Machine => "machine",
            Self::Clock => "clock",
            Self::Server => "server",
            Self::Master => "master",
            Self::Results => "results",
        }
    }
}

/// What a check came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// The check's name.
    pub(crate) check: &'static str,
    /// How it is.
    pub(crate) level: Level,
    /// What was found, without secrets.
    pub(crate) words: String,
    /// What to do.
    pub(crate) hint: Option<String>,
}

impl Finding {
    /// As it should be.
    pub(crate) fn ok(check: &'static str, words: impl Into<String>) -> Self {
        Self::new(check, Level::Ok, words)
    }

    /// Not looked at, and why.
    pub(crate) fn skipped(check: &'static str, words: impl Into<String>) -> Self {
        Self::new(check, Level::Skipped, words)
    }

    /// What may be seen in the figures.
    pub(crate) fn warning(
        check: &'static str,
        words: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self::new(check, Level::Warning, words).with_hint(Some(hint.into()))
    }

    /// What keeps a run from being one.
    pub(crate) fn problem(
        check: &'static str,
        words: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self::new(check, Level::Problem, words).with_hint(Some(hint.into()))
    }

    /// With what to do, where anybody knows.
    pub(crate) fn with_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }

    pub(crate) fn new(check: &'static str, level: Level, words: impl Into<String>) -> Self {
        Self {
            check,
            level,
            words: words.into(),
            hint: None,
        }
    }
}

/// Everything that was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Exam {
    /// In the order in which it was looked at.
    pub(crate) findings: Vec<(Part, Finding)>,
}

impl Exam {
    /// One more.
    pub(crate) fn note(&mut self, part: Part, finding: Finding) {
        self.findings.push((part, finding));
    }

    /// How many are of this level.
    pub(crate) fn count(&self, level: Level) -> usize {
        let findings = self.findings.iter();
        findings.filter(|(_, it)| it.level == level).count()
    }

    /// Whether a run may begin: nothing is a problem, nor, where it is meant `strictly`, a warning.
    pub(crate) fn is_passed(&self, strictly: bool) -> bool {
        self.count(Level::Problem) == 0 && !(strictly && self.count(Level::Warning) > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_fail_a_strict_exam_alone_and_what_was_skipped_none() {
        let mut exam = Exam::default();
        exam.note(Part::Machine, Finding::ok("a", "fine"));
        exam.note(Part::Clock, Finding::skipped("b", "not told here"));
        assert!(exam.is_passed(false) && exam.is_passed(true));
        exam.note(Part::Clock, Finding::warning("c", "late", "wait"));
        assert!(exam.is_passed(false) && !exam.is_passed(true));
        exam.note(Part::Server, Finding::problem("d", "gone", "start it"));
        assert!(!exam.is_passed(false) && !exam.is_passed(true));
        assert_eq!(exam.count(Level::Warning), 1);
    }
}
