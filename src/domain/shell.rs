//! A word as a shell takes it: for commands that somebody is to paste.

/// The word as it is, or in quotes.
pub fn shell_word(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:@%+,".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_with_spaces_is_quoted_for_a_shell() {
        assert_eq!(shell_word("meta/llama-3.1"), "meta/llama-3.1");
        assert_eq!(shell_word("it's H100"), r"'it'\''s H100'");
        assert_eq!(shell_word(""), "''");
    }
}
