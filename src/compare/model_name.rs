//! What a model's name tells: its family, its size, how its weights are stored. It knows no list of models.

use std::fmt;

/// A name taken apart. What is not in it is not known.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelName {
    /// What stands before the size, in the name's own letters.
    pub family: Option<String>,
    /// The number of parameters.
    pub parameters: Option<Parameters>,
    /// The quantisation or number format, as it is usually written.
    pub quantisation: Option<String>,
}

/// A number of parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameters {
    /// In billions; of several experts all together.
    pub billions: f64,
    /// As the name has it, in capitals: `27B`, `8X7B`.
    pub words: String,
}

impl fmt::Display for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

impl ModelName {
    /// Takes `name` apart: `gemma2:27b-instruct-q5_K_M`, `meta-llama/Llama-3.1-8B-Instruct-FP8`, a path of a file.
    pub fn parse(name: &str) -> Self {
        let last = name.rsplit('/').next().unwrap_or(name);
        let last = last.strip_suffix(".gguf").unwrap_or(last);
        let parts = parts(last);
        let size = parts
            .iter()
            .find_map(|(at, part)| Some((*at, parameters(part)?)));
        let whole = parts.iter().map(|(_, part)| *part);
        let quantisation = whole.clone().find_map(quantisation);
        let quantisation = quantisation.or_else(|| whole.clone().find_map(bits));
        let family = size.as_ref().map(|(at, _)| {
            let before = last.get(..*at).unwrap_or_default();
            before.trim_end_matches(is_separator).to_owned()
        });
        Self {
            family: family.filter(|family| !family.is_empty()),
            parameters: size.map(|(_, parameters)| parameters),
            quantisation,
        }
    }

    /// The name of a column: `gemma2 27B Q5_K_M`; none where the name tells no size.
    pub fn short(&self) -> Option<String> {
        let (family, parameters) = (self.family.as_ref()?, self.parameters.as_ref()?);
        let quantisation = self.quantisation.iter().map(|it| format!(" {it}"));
        Some(format!("{family} {parameters}") + &quantisation.collect::<String>())
    }
}

const fn is_separator(letter: char) -> bool {
    matches!(letter, '-' | ':' | '@' | ' ' | '_' | '.')
}

/// The parts between separators that no quantisation has inside, with their places. `_` parts only what is no quantisation.
fn parts(name: &str) -> Vec<(usize, &str)> {
    let start = name.as_ptr().addr();
    let mut found = Vec::new();
    for part in name.split(['-', ':', '@', ' ']) {
        match part.rsplit_once('.').filter(|(_, rest)| is_weights(rest)) {
            _ if is_weights(part) => found.push(part),
            Some((before, weights)) => {
                found.extend(before.split('_'));
                found.push(weights);
            }
            None => found.extend(part.split('_')),
        }
    }
    let place = |part: &str| part.as_ptr().addr() - start;
    found.into_iter().map(|part| (place(part), part)).collect()
}

fn is_weights(part: &str) -> bool {
    quantisation(part).or_else(|| bits(part)).is_some()
}

/// `27b`, `0.5B`, `135M`, `8x7B`, `E4B`.
fn parameters(part: &str) -> Option<Parameters> {
    let words = part.to_ascii_uppercase();
    let number = words.strip_prefix('E').unwrap_or(&words);
    let (number, unit) = number.split_at_checked(number.len().checked_sub(1)?)?;
    let unit = match unit {
        "B" => 1.0,
        "M" => 1e-3,
        "T" => 1e3,
        _ => return None,
    };
    let plain = |text: &str| {
        let is_plain = text.starts_with(|it: char| it.is_ascii_digit());
        is_plain.then(|| text.parse::<f64>().ok()).flatten()
    };
    let billions = match number.split_once('X') {
        Some((experts, size)) => plain(experts)? * plain(size)?,
        None => plain(number)?,
    };
    Some(Parameters {
        billions: billions * unit,
        words,
    })
}

/// Words that stand for themselves.
const FORMATS: [&str; 17] = [
    "AWQ", "GPTQ", "FP8", "FP16", "BF16", "FP32", "F16", "F32", "INT8", "INT4", "NVFP4", "MXFP4",
    "FP4", "NF4", "HQQ", "EXL2", "AQLM",
];

/// `q5_K_M`, `IQ4_XS`, `Q8_0`, `fp8`, `AWQ`, `w8a8`, `4bit`.
fn quantisation(part: &str) -> Option<String> {
    let words = part.to_ascii_uppercase();
    if FORMATS.contains(&words.as_str()) {
        return Some(words);
    }
    let (_, number) = words
        .split_once('Q')
        .filter(|(before, _)| matches!(*before, "" | "I" | "T"))?;
    is_llama_cpp(number).then(|| words.clone())
}

/// What follows the Q in the names of llama.cpp: a digit, then `_0`, `_1`, `_K`, `_K_S`, `_K_M`, `_XS` …
fn is_llama_cpp(number: &str) -> bool {
    let mut parts = number.split('_');
    let is_digit = |part: &str| part.len() == 1 && part.chars().all(|it| it.is_ascii_digit());
    let first = parts.next().is_some_and(is_digit);
    let known = ["0", "1", "K", "S", "M", "L", "XS", "XXS", "XL", "NL"];
    first && parts.all(|part| known.contains(&part))
}

/// `W8A8`, `4bit`, which no list has.
fn bits(part: &str) -> Option<String> {
    let words = part.to_ascii_lowercase();
    let digits = |text: &str| !text.is_empty() && text.chars().all(|it| it.is_ascii_digit());
    let weights = words
        .strip_prefix('w')
        .and_then(|rest| rest.split_once('a'));
    if weights.is_some_and(|(one, other)| digits(one) && digits(other)) {
        return Some(words.to_ascii_uppercase());
    }
    words
        .strip_suffix("bit")
        .filter(|number| digits(number))
        .map(|_| words.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        for (name, want) in [
            ("gemma2:27b-instruct-q5_K_M", "gemma2|27B|Q5_K_M"),
            ("qwen2.5:7b-instruct-q8_0", "qwen2.5|7B|Q8_0"),
            (
                "hf.co/rombodawg/Rombos-LLM-V2.6-Qwen-14b-Q8_0-GGUF:latest",
                "Rombos-LLM-V2.6-Qwen|14B|Q8_0",
            ),
            ("meta-llama/Llama-3.1-8B-Instruct-FP8", "Llama-3.1|8B|FP8"),
            ("Qwen/Qwen2.5-0.5B-Instruct-AWQ", "Qwen2.5|0.5B|AWQ"),
            ("TheBloke/Mixtral-8x7B-v0.1-GPTQ", "Mixtral|8X7B|GPTQ"),
            ("HuggingFaceTB/SmolLM2-135M-Instruct", "SmolLM2|135M|–"),
            ("mlx-community/Llama-3.2-1B-4bit", "Llama-3.2|1B|4bit"),
            ("RedHatAI/Llama-3.1-8B-quantized.w8a8", "Llama-3.1|8B|W8A8"),
            ("neural/Llama-3.1-8B-W8A8", "Llama-3.1|8B|W8A8"),
            ("models/llama-2-7b.Q4_K_M.gguf", "llama-2|7B|Q4_K_M"),
            ("google/gemma-3n-E4B-it", "gemma-3n|E4B|–"),
            ("unsloth/model-IQ4_XS", "–|–|IQ4_XS"),
            ("gpt-4o", "–|–|–"),
            ("claude-2", "–|–|–"),
            ("", "–|–|–"),
        ] {
            let parsed = ModelName::parse(name);
            let dash = || "–".to_owned();
            let got = format!(
                "{}|{}|{}",
                parsed.family.clone().unwrap_or_else(dash),
                parsed
                    .parameters
                    .as_ref()
                    .map_or_else(dash, ToString::to_string),
                parsed.quantisation.clone().unwrap_or_else(dash)
            );
            assert_eq!(got, want, "{name}");
        }
        let experts = ModelName::parse("Mixtral-8x7B").parameters.unwrap();
        assert!((experts.billions - 56.0).abs() < 1e-9);
        assert!(
            ModelName::parse("SmolLM2-135M")
                .parameters
                .unwrap()
                .billions
                < 0.2
        );
    }

    #[test]
    fn a_column_is_named_by_family_size_and_weights() {
        let short = |name: &str| ModelName::parse(name).short();
        assert_eq!(short("gemma2:9b-instruct-q8_0").unwrap(), "gemma2 9B Q8_0");
        assert_eq!(short("llama3.1:8b").unwrap(), "llama3.1 8B");
        assert_eq!(short("gpt-4o"), None);
    }
}
