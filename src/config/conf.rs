//! The grammar of `locust.conf`: lines into keys and values. It knows no option and opens no file.

use super::error::Fault;

/// One setting of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The line, from 1.
    pub line: usize,
    /// As it was written.
    pub key: String,
    /// `None` for a key alone: a flag that is on.
    pub value: Option<String>,
}

/// Reads `key = value`, `key: value`, `key value` and `key`; `#` and `;` begin a comment at the
/// start of a line or after white space, and `[section]` lines are headings for people.
pub(super) fn parse(text: &str) -> Result<Vec<Entry>, (usize, Fault)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    text.lines()
        .map(str::trim)
        .enumerate()
        .filter(|(_, line)| !is_blank(line))
        .map(|(at, line)| entry(at + 1, line).map_err(|fault| (at + 1, fault)))
        .collect()
}

/// The key as options are named: without leading dashes, with dashes for underscores.
pub(super) fn canonical(key: &str) -> String {
    key.trim_start_matches("--").replace('_', "-")
}

/// The items of `[a, "b, c"]`; `None` when the value is not a list.
pub(super) fn list(value: &str) -> Option<Vec<String>> {
    let inner = value.strip_prefix('[')?.strip_suffix(']')?;
    let mut items = Vec::new();
    let mut item = String::new();
    let mut quote = None;
    for letter in inner.chars() {
        match (letter, quote) {
            (',', None) => items.push(std::mem::take(&mut item)),
            ('"' | '\'', None) if item.trim().is_empty() => {
                quote = Some(letter);
                item.push(letter);
            }
            _ => {
                if quote == Some(letter) {
                    quote = None;
                }
                item.push(letter);
            }
        }
    }
    items.push(item);
    let items = items.iter().map(|item| unquote(item.trim()).to_owned());
    Some(items.filter(|item| !item.is_empty()).collect())
}

fn is_blank(line: &str) -> bool {
    line.is_empty()
        || line.starts_with(['#', ';'])
        || line.starts_with("---")
        || (line.starts_with('[') && line.ends_with(']'))
}

fn entry(line: usize, text: &str) -> Result<Entry, Fault> {
    let end = text
        .find(|letter: char| letter == '=' || letter == ':' || letter.is_whitespace())
        .unwrap_or(text.len());
    let (key, rest) = text.split_at(end);
    if key.is_empty() {
        return Err(Fault::new("a line without a key").hint("write `key = value`"));
    }
    let after = rest.trim_start().strip_prefix(['=', ':']);
    let value = without_comment(after.unwrap_or(rest));
    if value.is_none() && after.is_some() {
        return Err(Fault::new(format!("`{key}` has no value"))
            .hint("leave the line out to keep the default"));
    }
    let key = key.to_owned();
    Ok(Entry { line, key, value })
}

/// The value alone; `None` when nothing is left of it. Quotes around it keep what looks like a comment.
fn without_comment(rest: &str) -> Option<String> {
    let value = rest.trim();
    if let Some(quoted) = quoted(value) {
        return Some(quoted.to_owned());
    }
    if value.starts_with(['#', ';']) && rest.len() != value.len() {
        return None;
    }
    let comment = value
        .char_indices()
        .find(|&(at, letter)| {
            matches!(letter, '#' | ';') && value[..at].ends_with(char::is_whitespace)
        })
        .map_or(value.len(), |(at, _)| at);
    let value = value[..comment].trim_end();
    (!value.is_empty()).then(|| value.to_owned())
}

/// What stands between the quotes that open `value`, where only a comment follows them.
fn quoted(value: &str) -> Option<&str> {
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let (inner, rest) = value[1..].split_once(quote)?;
    let rest = rest.trim();
    (rest.is_empty() || rest.starts_with(['#', ';'])).then_some(inner)
}

fn unquote(value: &str) -> &str {
    ['"', '\'']
        .into_iter()
        .find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote))
        .unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(usize, String, Option<String>)> {
        let entries = parse(text).unwrap();
        let triple = |entry: Entry| (entry.line, entry.key, entry.value);
        entries.into_iter().map(triple).collect()
    }

    #[test]
    fn every_way_to_write_a_setting_is_read() {
        let text = "\u{feff}# a comment\n; another\n[heading]\n\nusers = 8\nrun_time: 5m # why\n--host  http://h:1/b\n\
                    headless\nonly-summary ; end alone\nmodel=a#b\r\nprompt = \"say # and ; twice\" # so\nprompt-text = it's \"so\"";
        let some = |value: &str| Some(value.to_owned());
        assert_eq!(
            pairs(text),
            [
                (5, "users".to_owned(), some("8")),
                (6, "run_time".to_owned(), some("5m")),
                (7, "--host".to_owned(), some("http://h:1/b")),
                (8, "headless".to_owned(), None),
                (9, "only-summary".to_owned(), None),
                (10, "model".to_owned(), some("a#b")),
                (11, "prompt".to_owned(), some("say # and ; twice")),
                (12, "prompt-text".to_owned(), some("it's \"so\"")),
            ]
        );
    }

    #[test]
    fn a_separator_without_a_value_is_an_error_on_its_line() {
        assert_eq!(parse("a = 1\nb =").unwrap_err().0, 2);
        assert_eq!(parse("b = # nothing").unwrap_err().0, 1);
        assert_eq!(parse("= 3").unwrap_err().0, 1);
    }

    #[test]
    fn lists_split_at_commas_outside_of_quotes() {
        let items = list("[a: 1, \"b: 2, 3\", 'c',]").unwrap();
        assert_eq!(items, ["a: 1", "b: 2, 3", "c"]);
        assert_eq!(list("a, b"), None);
    }

    #[test]
    fn keys_may_wear_dashes_or_underscores() {
        assert_eq!(canonical("--max_tokens"), "max-tokens");
        assert_eq!(canonical("max-tokens"), "max-tokens");
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC*(\\n\\PC*){0,3}") {
            let _ = parse(&text);
            let _ = list(&text);
        }
    }
}
