//! Spellings of old tools that clap cannot take: `--max_tokens` and `-pcml`. It knows no option's value.

use std::ffi::OsString;

/// The same command line in clap's spelling. What follows `--` is left alone.
pub(super) fn respell(argv: Vec<OsString>) -> Vec<OsString> {
    let mut options = true;
    argv.into_iter()
        .map(|word| {
            options &= word != "--";
            match word.to_str() {
                Some(text) if options => respell_word(text).map_or(word, OsString::from),
                _ => word,
            }
        })
        .collect()
}

fn respell_word(word: &str) -> Option<String> {
    if let Some(value) = word.strip_prefix("-pcml") {
        let value = value.strip_prefix('=').unwrap_or(value);
        let equals = if value.is_empty() { "" } else { "=" };
        return Some(format!("--prompt-cache-max-len{equals}{value}"));
    }
    let name = word.strip_prefix("--")?;
    let end = name.find('=').unwrap_or(name.len());
    let (name, value) = name.split_at(end);
    name.contains('_')
        .then(|| format!("--{}{value}", name.replace('_', "-")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_spellings_become_clap_s_and_values_stay() {
        let words = [
            "x",
            "--max_tokens=a_b",
            "-pcml",
            "3",
            "-pcml=4",
            "-pcml5",
            "a_b",
            "-p",
            "--",
            "--a_b",
        ];
        let respelt = respell(words.iter().map(OsString::from).collect());
        assert_eq!(
            respelt,
            [
                "x",
                "--max-tokens=a_b",
                "--prompt-cache-max-len",
                "3",
                "--prompt-cache-max-len=4",
                "--prompt-cache-max-len=5",
                "a_b",
                "-p",
                "--",
                "--a_b"
            ]
        );
    }
}
