//! A tokenizer of 95 letters, so that what is sent in token ids can be counted and read by eye. It is no model's.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};

/// The token ids of the chat template before a message's content, and behind it.
pub(crate) const AROUND: [&[u64]; 2] = [&[0, 56, 68], &[1]];

/// Writes the tokenizer of the letters that stand on keys, one token each, into a folder of its own below `folder`.
pub(crate) fn write(folder: &Path) {
    let folder = folder.join("tiny");
    fs::create_dir(&folder).unwrap();
    let mut vocab = Map::new();
    for name in ["<s>", "</s>", "<unk>"] {
        vocab.insert(name.to_owned(), json!(vocab.len()));
    }
    for letter in (b' '..=b'~').map(char::from).chain(['\n']) {
        vocab.insert(letter.to_string(), json!(vocab.len()));
    }
    let special = |id: u64, content: &str| json!({"id": id, "content": content, "special": true, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false});
    let tokenizer = json!({
        "version": "1.0",
        "added_tokens": [special(0, "<s>"), special(1, "</s>"), special(2, "<unk>")],
        "normalizer": null, "pre_tokenizer": null, "post_processor": null, "decoder": null,
        "model": {"type": "BPE", "dropout": null, "unk_token": "<unk>", "fuse_unk": false, "vocab": vocab, "merges": []},
    });
    let template = "{% for m in messages %}<s>Ua{{ m.content }}</s>{% endfor %}";
    let config = json!({"bos_token": "<s>", "eos_token": "</s>", "chat_template": template});
    let files: [(&str, Value); 2] = [
        ("tokenizer.json", tokenizer),
        ("tokenizer_config.json", config),
    ];
    for (name, value) in files {
        fs::write(folder.join(name), value.to_string()).unwrap();
    }
}
