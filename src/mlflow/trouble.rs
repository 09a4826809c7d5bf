//! What can go wrong with a call, and whether another try is worth it. It tries nothing.

use std::time::Duration;

use http::StatusCode;
use serde_json::Value;

/// Characters of an answer that are quoted.
const QUOTED: usize = 300;

/// Why a call failed. The words hold no secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Trouble {
    /// No whole answer came.
    #[error("{words}")]
    NoAnswer {
        words: String,
        /// Nothing was sent, so nothing can have happened.
        unsent: bool,
    },
    /// An answer that is no success.
    #[error("status {status}: {words}{}", .hint.map(|hint| format!(" ({hint})")).unwrap_or_default())]
    Refused {
        status: u16,
        /// MLflow's name of the error, or nothing.
        code: String,
        words: String,
        hint: Option<&'static str>,
        retry_after: Option<Duration>,
    },
    /// A success that says nothing that MLflow would say.
    #[error("the answer is not MLflow's: {0}")]
    Strange(String),
    /// The time was over first.
    #[error("no answer in time")]
    Late,
    /// An experiment that was thrown away.
    #[error("the experiment is deleted there: restore it, or name another one")]
    Deleted,
}

impl Trouble {
    /// What an answer with this status means.
    pub(super) fn refused(status: StatusCode, retry_after: Option<&str>, body: &[u8]) -> Self {
        let answer: Value = serde_json::from_slice(body).unwrap_or_default();
        let said = answer["message"].as_str().map_or_else(
            || String::from_utf8_lossy(body).trim().to_owned(),
            str::to_owned,
        );
        let hint = match status.as_u16() {
            401 | 403 => Some(
                "MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, say who asks",
            ),
            300..=399 => Some(
                "is MLFLOW_TRACKING_URI the server's last address, with https:// where it wants that?",
            ),
            404 if answer["error_code"].is_null() => {
                Some("is MLFLOW_TRACKING_URI the address of an MLflow server?")
            }
            _ => None,
        };
        Self::Refused {
            status: status.as_u16(),
            code: answer["error_code"].as_str().unwrap_or_default().to_owned(),
            words: quotation(&said),
            hint,
            // A date is not read: the wait is then as long as without it.
            retry_after: retry_after
                .and_then(|text| text.trim().parse().ok())
                .map(Duration::from_secs),
        }
    }

    /// An answer without what it must have.
    pub(super) fn strange(answer: &Value) -> Self {
        Self::Strange(quotation(&answer.to_string()))
    }

    /// Whether the same call may succeed later.
    pub(super) const fn may_pass(&self) -> bool {
        match self {
            Self::NoAnswer { .. } => true,
            Self::Refused { status, .. } => {
                matches!(status, 408 | 429 | 500 | 502..=599)
            }
            Self::Strange(_) | Self::Late | Self::Deleted => false,
        }
    }

    /// Whether the server may have done what it was asked all the same.
    pub(super) const fn may_have_worked(&self) -> bool {
        match self {
            Self::NoAnswer { unsent, .. } => !*unsent,
            Self::Refused { status, .. } => *status >= 500,
            Self::Strange(_) | Self::Late | Self::Deleted => false,
        }
    }

    /// Whether this is the error of that name.
    pub(super) fn is(&self, name: &str) -> bool {
        matches!(self, Self::Refused { code, .. } if code == name)
    }

    /// How long the server wants to be left alone.
    pub(super) const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// The first line, or what of it people read.
fn quotation(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    match line.char_indices().nth(QUOTED) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None if line.is_empty() => "no words".to_owned(),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, body: &str) -> Trouble {
        Trouble::refused(StatusCode::from_u16(status).unwrap(), None, body.as_bytes())
    }

    #[test]
    fn overload_and_breakdowns_may_pass_and_refusals_do_not() {
        for (status, passes) in [
            (400, false),
            (401, false),
            (404, false),
            (408, true),
            (409, false),
            (429, true),
        ] {
            assert_eq!(refused(status, "").may_pass(), passes, "{status}");
            assert!(!refused(status, "").may_have_worked(), "{status}");
        }
        for (status, passes) in [
            (500, true),
            (501, false),
            (502, true),
            (503, true),
            (504, true),
        ] {
            assert_eq!(refused(status, "").may_pass(), passes, "{status}");
            assert!(refused(status, "").may_have_worked(), "{status}");
        }
        let cut_off = |unsent| Trouble::NoAnswer {
            words: String::new(),
            unsent,
        };
        assert!(cut_off(true).may_pass() && !cut_off(true).may_have_worked());
        assert!(cut_off(false).may_pass() && cut_off(false).may_have_worked());
    }

    #[test]
    fn the_servers_own_words_are_told() {
        let body = r#"{"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "No Experiment"}"#;
        let trouble = refused(404, body);
        assert!(trouble.is("RESOURCE_DOES_NOT_EXIST") && !trouble.is(""));
        assert_eq!(trouble.to_string(), "status 404: No Experiment");
        let page = refused(404, "<html>\n<body>");
        assert!(
            page.to_string()
                .starts_with("status 404: <html> (is MLFLOW_TRACKING_URI")
        );
        assert!(
            refused(401, "")
                .to_string()
                .contains("no words (MLFLOW_TRACKING_TOKEN")
        );
        let long = refused(400, &"x".repeat(1000)).to_string();
        assert_eq!(long.chars().count(), "status 400: ".len() + QUOTED + 1);
    }

    #[test]
    fn a_server_may_say_when_to_come_back() {
        let of = |text| Trouble::refused(StatusCode::TOO_MANY_REQUESTS, text, b"").retry_after();
        assert_eq!(of(Some("7")), Some(Duration::from_secs(7)));
        assert_eq!(of(Some("Wed, 21 Oct 2015 07:28:00 GMT")), None);
        assert_eq!(of(None), None);
    }
}
