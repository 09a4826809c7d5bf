//! The tokenizer that is always there: words in pieces of up to nine letters, numbers in threes, punctuation, line ends.
//! Its counts come close to those of common models on English and on code, and are no model's.

use indexmap::IndexMap;
use serde_json::{Value, json};

use super::Corpus;
use super::corpus::lead_words;
use super::tokenizer::{Tokenizer, TokenizerError, TokenizerFiles};

/// What it is asked for by. A file or a folder of that name is `./built-in`.
pub const BUILT_IN: &str = "built-in";

/// The pieces. Set against the mean of four models' tokenizers (Llama 2 and 3.1, GPT-4o, Qwen 3), the counts are within
/// 5 % on each of: sonnets, limericks, licences, documentation, two kinds of code. Against a single one of them they are
/// up to 15 % lower (vocabularies of 32,000 tokens) or 10 % higher (vocabularies above 100,000).
const PIECES: [&str; 7] = [
    // A piece of a word, with what stands before words in texts and in code.
    r"[ _.(]?\p{Latin}{1,9}",
    // Scripts whose letters are syllables or words.
    r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}]",
    // Other scripts.
    r" ?[\p{L}\p{M}]{1,3}",
    r"\p{N}{1,3}",
    // Punctuation and symbols.
    r" ?[^\s\p{L}\p{M}\p{N}]{1,3}",
    // Line ends with the white space before them.
    r"\s*[\r\n]+",
    r"\s+",
];

/// What stands for a piece that the vocabulary does not hold.
const UNKNOWN: &str = "[UNK]";

impl Tokenizer {
    /// The built-in tokenizer. Its vocabulary is what the shipped texts are made of, in the order of their pieces; any other
    /// piece is one token too, without an id of its own.
    ///
    /// # Errors
    /// None that has ever been seen: its definition is a constant.
    pub fn built_in() -> Result<Self, TokenizerError> {
        let cutter = made(&IndexMap::from([(UNKNOWN.to_owned(), 0)]))?;
        let mut vocabulary = IndexMap::from([(UNKNOWN.to_owned(), 0)]);
        for text in texts() {
            for piece in cutter.pieces(&text) {
                let id = vocabulary.len();
                let _known_or_new = vocabulary.entry(piece.to_owned()).or_insert(id);
            }
        }
        made(&vocabulary)
    }

    /// Whether it is the built-in one, whose counts are no model's.
    pub fn is_built_in(&self) -> bool {
        self.name() == BUILT_IN
    }
}

/// The shipped texts, and the words of opening lines as they stand inside a line.
fn texts() -> impl Iterator<Item = String> {
    let corpora = [Corpus::Limericks, Corpus::Sonnets, Corpus::Code];
    let words = lead_words().flatten().map(|word| format!(" {word}"));
    let items = corpora.into_iter().flat_map(Corpus::items);
    let instructions = corpora.map(Corpus::instruction);
    items
        .map(|item| format!("{item}\n\n"))
        .chain(instructions.map(str::to_owned))
        .chain(words)
}

fn made(vocabulary: &IndexMap<String, usize>) -> Result<Tokenizer, TokenizerError> {
    let definition = definition(vocabulary).to_string();
    let files = TokenizerFiles {
        tokenizer: definition.as_bytes(),
        config: None,
        template: None,
    };
    Tokenizer::new(BUILT_IN, files)
}

fn definition(vocabulary: &IndexMap<String, usize>) -> Value {
    let pieces = PIECES.join("|");
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
        "pre_tokenizer": {"type": "Split", "pattern": {"Regex": pieces}, "behavior": "Isolated", "invert": false},
        "post_processor": null, "decoder": {"type": "Fuse"},
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": UNKNOWN},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(text: &str) -> Vec<String> {
        let tokenizer = Tokenizer::built_in().unwrap();
        let pieces = tokenizer.pieces(text).into_iter();
        pieces.map(str::to_owned).collect()
    }

    #[test]
    fn texts_are_cut_into_words_numbers_punctuation_and_line_ends() {
        assert_eq!(
            pieces("Unquestionably, 12345 of us\n\n    let my_name = (a);"),
            [
                "Unquestio",
                "nably",
                ",",
                " ",
                "123",
                "45",
                " of",
                " us",
                "\n\n",
                "    ",
                "let",
                " my",
                "_name",
                " =",
                " (",
                "a",
                ");"
            ]
        );
        assert_eq!(pieces("\u{4f60}\u{597d}"), ["\u{4f60}", "\u{597d}"]);
        assert!(pieces("").is_empty());
    }

    /// Of tokens by Llama 2, Llama 3.1, GPT-4o and Qwen 3, counted once with the models' own files.
    const COUNTED: [(Corpus, [f64; 4]); 3] = [
        (Corpus::Sonnets, [13_338.0, 11_332.0, 11_218.0, 11_335.0]),
        (Corpus::Limericks, [4_797.0, 4_054.0, 3_992.0, 4_055.0]),
        (Corpus::Code, [5_327.0, 4_267.0, 4_284.0, 4_302.0]),
    ];

    #[test]
    #[expect(clippy::cast_precision_loss, reason = "a share for a test")]
    fn counts_are_close_to_the_mean_of_common_tokenizers() {
        let tokenizer = Tokenizer::built_in().unwrap();
        for (corpus, counted) in COUNTED {
            let text: Vec<&str> = corpus.items().collect();
            let mean = counted.iter().sum::<f64>() / 4.0;
            let off = tokenizer.count(&(text.join("\n\n") + "\n")) as f64 / mean - 1.0;
            assert!(off.abs() < 0.035, "{corpus:?}: {off}");
            let extremes = counted.map(|one| off_by(one, mean, off));
            assert!(
                extremes.iter().all(|off| off.abs() < 0.15),
                "{corpus:?}: {extremes:?}"
            );
        }
    }

    fn off_by(one: f64, mean: f64, off: f64) -> f64 {
        mean * (1.0 + off) / one - 1.0
    }

    #[test]
    fn it_is_the_same_every_time_and_its_ids_say_the_text_again() {
        let (one, other) = (
            Tokenizer::built_in().unwrap(),
            Tokenizer::built_in().unwrap(),
        );
        assert_eq!(one.sha256(), other.sha256());
        // Another definition is another tokenizer: a cluster of two versions must notice.
        insta::assert_snapshot!(one.sha256(), @r#"af487aeffae2fe0f369f2ddb472232113997d9f9c081fac918438ef895ef93bd"#);
        let words = one.words();
        assert!(words.len() > 3_000, "{}", words.len());
        let text: Vec<&str> = Corpus::Sonnets.items().collect();
        let text = text.join("\n\n");
        assert_eq!(one.decoded(&one.ids(&text)), text);
        assert_eq!(one.ids("Zyzzyva"), [0]);
    }
}
