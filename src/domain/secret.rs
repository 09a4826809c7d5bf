//! A value that must not be shown. It has no `Serialize`, and its `Debug` and `Display` print a mask.

use std::fmt;

/// An API key, a token, a header that carries one.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps `value`.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself, for the one place that puts it on the wire.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// `text` with a mask in place of this secret, wherever it stands, and of its beginning before an ellipsis:
    /// a quotation may have been cut in the middle of it.
    pub fn masked_in(&self, text: &str) -> String {
        if self.0.is_empty() {
            return text.to_owned();
        }
        let text = text.replace(&self.0, MASK);
        let mut parts: Vec<_> = text.split(ELLIPSIS).map(str::to_owned).collect();
        let cut = parts.len() - 1;
        for part in &mut parts[..cut] {
            if let Some(start) = self.longest_start_at_the_end_of(part) {
                part.truncate(part.len() - start);
                part.push_str(MASK);
            }
        }
        parts.join(&ELLIPSIS.to_string())
    }

    /// Bytes of the longest beginning of this secret that `text` ends in, if it gives anything away.
    fn longest_start_at_the_end_of(&self, text: &str) -> Option<usize> {
        let ends = self.0.char_indices().map(|(at, _)| at).rev();
        ends.filter(|&end| end >= TELLING)
            .find(|&end| text.ends_with(&self.0[..end]))
    }
}

/// What lets requests in at Amazon's services, as far as a machine has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AwsSecrets {
    /// Whose signatures are.
    pub access_key_id: Option<Secret>,
    /// What they are made with.
    pub secret_access_key: Option<Secret>,
    /// Sent along with keys that are lent for a time.
    pub session_token: Option<Secret>,
    /// Lets requests in at Bedrock without a signature.
    pub bearer_token: Option<Secret>,
}

impl AwsSecrets {
    /// All of them.
    pub fn values(&self) -> impl Iterator<Item = &Secret> + Clone {
        let all = [
            &self.access_key_id,
            &self.secret_access_key,
            &self.session_token,
            &self.bearer_token,
        ];
        all.into_iter().flatten()
    }

    /// These, and those of `other` where nothing is here. The keys of a signature belong together.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        let signing = if self.access_key_id.is_some() || self.secret_access_key.is_some() {
            self
        } else {
            other
        };
        Self {
            bearer_token: self
                .bearer_token
                .clone()
                .or_else(|| other.bearer_token.clone()),
            ..signing.clone()
        }
    }
}

/// Whether a header of this name, in any case, is taken to carry a secret. In doubt it is.
pub fn is_secret_header(name: &str) -> bool {
    const MARKS: [&str; 8] = [
        "auth",
        "token",
        "secret",
        "password",
        "credential",
        "cookie",
        "api-key",
        "apikey",
    ];
    let name = name.to_ascii_lowercase().replace('_', "-");
    MARKS.iter().any(|mark| name.contains(mark)) || name.ends_with("-key")
}

const MASK: &str = "***";

/// What stands where a quotation was cut.
const ELLIPSIS: char = '…';

/// Bytes of a secret that are too many to be seen.
const TELLING: usize = 4;

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_masked_wherever_it_is_quoted() {
        let secret = Secret::new("sk-secret-123");
        for (text, masked) in [
            ("no key", "no key"),
            ("`sk-secret-123` and sk-secret-123", "`***` and ***"),
            ("the key sk-secret-12…", "the key ***…"),
            ("the key sk-s… is wrong…", "the key ***… is wrong…"),
            ("the task…", "the task…"),
        ] {
            assert_eq!(secret.masked_in(text), masked);
        }
        assert_eq!(Secret::new("").masked_in("a…"), "a…");
        assert_eq!(format!("{secret} {secret:?}"), "*** ***");
    }
}
