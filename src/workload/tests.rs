//! The room as a whole, against small tokenizers that are made here: trained on our own corpora, or built.

use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use serde_json::json;
use tokenizers::models::TrainerWrapper;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::models::unigram::{Unigram, UnigramTrainer};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::metaspace::{Metaspace, PrependScheme};
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::{AddedToken, Tokenizer as Inner};

use super::*;
use crate::domain::{Message, Role};

const TEMPLATE: &str = "{{ bos_token }}{% for m in messages %}[{{ m.role }}]\n{{ m.content | trim }}\n\
                        [end]\n{% endfor %}{% if add_generation_prompt %}[assistant]\n{% endif %}";
const CONFIG: &str = r#"{"bos_token": {"content": "<s>"}, "eos_token": "</s>"}"#;

fn corpus_texts() -> Vec<String> {
    [Corpus::Limericks, Corpus::Code]
        .into_iter()
        .flat_map(Corpus::items)
        .map(|item| format!("{item}\n\n"))
        .collect()
}

fn special(text: &str) -> AddedToken {
    AddedToken::from(text, true)
}

fn trained(mut inner: Inner, mut trainer: TrainerWrapper, texts: Vec<String>) -> Vec<u8> {
    inner.train(&mut trainer, texts.into_iter()).unwrap();
    inner.to_string(false).unwrap().into_bytes()
}

/// Byte-level BPE with a beginning-of-text token, as most models have it.
pub(super) static BPE_FILE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut inner = Inner::new(BPE::default());
    inner.with_pre_tokenizer(Some(ByteLevel::new(false, true, true)));
    inner.with_decoder(Some(ByteLevel::default()));
    let bos = TemplateProcessing::builder()
        .try_single("<s> $A")
        .unwrap()
        .special_tokens(vec![("<s>", 0)])
        .build()
        .unwrap();
    inner.with_post_processor(Some(bos));
    let trainer = BpeTrainer::builder()
        .show_progress(false)
        .vocab_size(900)
        .special_tokens(vec![special("<s>")])
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .build();
    trained(inner, trainer.into(), corpus_texts())
});

/// Unigram with a mark for spaces, as sentence piece models have it.
pub(super) static UNIGRAM_FILE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut inner = Inner::new(Unigram::default());
    inner.with_pre_tokenizer(Some(Metaspace::new(
        '\u{2581}',
        PrependScheme::Always,
        true,
    )));
    let trainer = UnigramTrainer::builder()
        .show_progress(false)
        .vocab_size(700)
        .special_tokens(vec![special("<unk>"), special("<s>")])
        .unk_token(Some("<unk>".to_owned()))
        .build()
        .unwrap();
    trained(inner, trainer.into(), corpus_texts())
});

/// BPE that merges across blank lines, so that parts do not add up to the whole.
pub(super) static MERGING_FILE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let merges = ["\n \n", "\" \n\n", "\"\n\n A", "a r"];
    let mut vocab: Vec<String> = (0_u8..128)
        .map(|byte| char::from(byte).to_string())
        .collect();
    vocab.extend(merges.map(|merge| merge.replace(' ', "")));
    let vocab: Map<_, _> = vocab.into_iter().zip((0..).map(|id| json!(id))).collect();
    let file = json!({
        "version": "1.0", "truncation": {"max_length": 8, "strategy": "LongestFirst", "stride": 0,
            "direction": "Right"}, "padding": null, "added_tokens": [], "normalizer": null,
        "pre_tokenizer": null, "post_processor": null, "decoder": null,
        "model": {"type": "BPE", "unk_token": "?", "vocab": vocab,
            "merges": merges.map(|merge| merge.split_once(' ').unwrap())},
    });
    file.to_string().into_bytes()
});

pub(super) fn tokenizer(file: &[u8], template: bool) -> Arc<Tokenizer> {
    let files = TokenizerFiles {
        tokenizer: file,
        config: Some(CONFIG),
        template: template.then_some(TEMPLATE),
    };
    Arc::new(Tokenizer::new("tiny", files).unwrap())
}

/// Counts with a tokenizer that was made here.
pub(super) fn tiny_measure(chat: bool) -> Measure {
    Measure::new(Some(tokenizer(&BPE_FILE, true)), chat)
}

/// Of a data set that was opened already, for chat, without a tokenizer.
pub(super) fn data_workload(data: Arc<Data>, shape: &Shape, users: u32) -> Workload {
    let mut spec = spec(PromptSource::Rows(Vec::new()));
    spec.shape = shape.clone();
    Workload::new(&spec, Api::Chat, Seed(42), None, Some(data), users).unwrap()
}

pub(super) fn output(mean: u32) -> LengthSpec {
    LengthSpec {
        mean,
        law: LengthLaw::Constant,
        range: 0.3,
        cap: None,
        jitter: 0,
    }
}

pub(super) fn spec(prompts: PromptSource) -> Spec {
    Spec {
        shape: Shape::default(),
        forced: None,
        batch: Batch::default(),
        around: Around::default(),
        prompts,
        output: output(64),
        tokenizer: None,
    }
}

pub(super) fn generated(corpus: Corpus, tokens: u32, shared_prefix_tokens: u32) -> Spec {
    spec(PromptSource::Generated {
        corpus,
        tokens,
        shared_prefix_tokens,
        prefix_groups: 1,
        instruction: None,
    })
}

pub(super) const fn api(chat: bool) -> Api {
    if chat { Api::Chat } else { Api::Completion }
}

pub(super) fn made(spec: &Spec, chat: bool, tokenizer: Option<&Arc<Tokenizer>>) -> Workload {
    Workload::new(spec, api(chat), Seed(42), tokenizer.cloned(), None, 4).unwrap()
}

pub(super) fn text(ask: &Ask) -> &str {
    match &ask.prompt {
        Prompt::Text(text) => text,
        _ => panic!("a generated prompt is one text"),
    }
}

/// Counted apart from the code under test: the template written out, the special tokens added by hand.
pub(super) fn recount(file: &[u8], text: &str, chat: bool) -> usize {
    let mut inner = Inner::from_bytes(file).unwrap();
    inner.with_truncation(None).unwrap();
    let rendered = format!("<s>[user]\n{}\n[end]\n[assistant]\n", text.trim());
    let text = if chat { &rendered } else { text };
    inner.encode(text, !chat).unwrap().len()
}

pub(super) fn common_start(a: &str, b: &str) -> usize {
    a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count()
}

#[test]
fn prompts_have_exactly_the_wanted_tokens() {
    for (name, file) in [("bpe", &*BPE_FILE), ("unigram", &UNIGRAM_FILE)] {
        let tokenizer = tokenizer(file, true);
        for corpus in [Corpus::Limericks, Corpus::Code, Corpus::Sonnets] {
            for (tokens, chat) in [
                (90, false),
                (128, true),
                (513, false),
                (1_111, true),
                (3_000, false),
            ] {
                let workload = made(&generated(corpus, tokens, 0), chat, Some(&tokenizer));
                assert_eq!(workload.notes(), [""; 0], "{name} {corpus:?} {tokens}");
                for i in 1_000..1_006 {
                    let ask = workload.ask(Index::Arrival(i));
                    assert_eq!(
                        recount(file, text(&ask), chat),
                        tokens as usize,
                        "{name} {tokens}"
                    );
                    assert_eq!(ask.requested_prompt_tokens, Some(tokens));
                    assert_eq!(ask.counted_prompt_tokens, Some(tokens));
                }
            }
        }
    }
}

#[test]
fn small_prompts_are_exact_too_down_to_the_smallest() {
    let tokenizer = tokenizer(&BPE_FILE, true);
    let too_short = Workload::new(
        &generated(Corpus::Limericks, 1, 0),
        Api::Chat,
        Seed(1),
        Some(tokenizer.clone()),
        None,
        1,
    );
    let Err(WorkloadError::TooShort { smallest, .. }) = too_short else {
        panic!("a prompt of one token was made: {too_short:?}");
    };
    for tokens in [0, 1, 2, 3, 5, 9, 14, 20, 26].map(|more| smallest + more) {
        let workload = made(
            &generated(Corpus::Limericks, tokens, 0),
            true,
            Some(&tokenizer),
        );
        let ask = workload.ask(Index::Arrival(5));
        assert_eq!(recount(&BPE_FILE, text(&ask), true), tokens as usize);
    }
}

#[test]
fn a_prompt_has_no_long_beginning_in_common_with_another() {
    let tokenizer = tokenizer(&BPE_FILE, false);
    let workload = made(
        &generated(Corpus::Limericks, 512, 0),
        false,
        Some(&tokenizer),
    );
    let asks: Vec<_> = (0..300).map(|i| workload.ask(Index::Arrival(i))).collect();
    let mut texts: Vec<_> = asks.iter().map(text).collect();
    texts.sort_unstable();
    let longest = texts
        .windows(2)
        .map(|pair| common_start(pair[0], pair[1]))
        .max();
    assert!(longest < Some(32), "{longest:?} bytes in common");
}

#[test]
fn a_shared_prefix_is_the_same_everywhere_and_exact() {
    for (file, chat) in [
        (&*BPE_FILE, true),
        (&BPE_FILE, false),
        (&UNIGRAM_FILE, true),
    ] {
        let tokenizer = tokenizer(file, true);
        for shared in [16, 100, 400] {
            let workload = made(
                &generated(Corpus::Limericks, 600, shared),
                chat,
                Some(&tokenizer),
            );
            let asks: Vec<_> = (0..40).map(|i| workload.ask(Index::Arrival(i))).collect();
            let first = text(&asks[0]);
            let common = asks[1..]
                .iter()
                .map(|ask| common_start(first, text(ask)))
                .min()
                .unwrap();
            // The opening line starts after the last blank line that all have in common.
            let prefix = &first[..first[..common].rfind("\n\n").unwrap() + 2];
            assert!(asks.iter().all(|ask| text(ask).starts_with(prefix)));
            let alone = tokenizer.count(&format!("{prefix}Once")) - tokenizer.count("A.\n\nOnce")
                + tokenizer.count("A.\n\n");
            assert_eq!(alone, shared as usize);
            assert!(asks.iter().all(|ask| recount(file, text(ask), chat) == 600));
        }
    }
}

#[test]
fn a_tokenizer_that_does_not_add_up_gets_exact_prompts_from_a_pool() {
    let tokenizer = tokenizer(&MERGING_FILE, false);
    let workload = made(
        &generated(Corpus::Limericks, 900, 0),
        false,
        Some(&tokenizer),
    );
    assert!(
        workload.notes()[0].contains("do not add up"),
        "{:?}",
        workload.notes()
    );
    let asks: Vec<_> = (0..30).map(|i| workload.ask(Index::Arrival(i))).collect();
    for ask in &asks {
        assert_eq!(recount(&MERGING_FILE, text(ask), false), 900);
        assert_eq!(ask.counted_prompt_tokens, Some(900));
    }
    assert!(asks.windows(2).all(|pair| pair[0].prompt != pair[1].prompt));
}

#[test]
fn a_prompt_that_cannot_hold_its_instruction_is_refused_with_the_smallest_possible() {
    let tokenizer = tokenizer(&BPE_FILE, true);
    let refuse = |tokens, shared| {
        let spec = generated(Corpus::Code, tokens, shared);
        Workload::new(&spec, Api::Chat, Seed(1), Some(tokenizer.clone()), None, 1).unwrap_err()
    };
    let WorkloadError::TooShort {
        tokens: 5,
        smallest,
    } = refuse(5, 0)
    else {
        panic!("another error");
    };
    let hint = refuse(5, 0).hint().unwrap();
    assert!(
        hint.starts_with(&format!("-p {smallest} or more")),
        "{hint}"
    );
    assert!(matches!(
        refuse(100, 100),
        WorkloadError::TooShort { tokens: 100, .. }
    ));
    assert!(matches!(
        refuse(100, 200),
        WorkloadError::TooShort { tokens: 100, .. }
    ));
}

#[test]
fn a_chat_without_a_template_and_a_missing_tokenizer_are_told() {
    let tokenizer = tokenizer(&BPE_FILE, false);
    assert_eq!(tokenizer.chat_overhead(), None);
    let workload = made(
        &generated(Corpus::Limericks, 200, 0),
        true,
        Some(&tokenizer),
    );
    assert!(workload.notes()[0].contains("has no chat template"));
    assert_eq!(workload.ask(Index::Arrival(0)).counted_prompt_tokens, None);
    let workload = made(&generated(Corpus::Limericks, 200, 0), true, None);
    assert!(workload.notes()[0].starts_with("no tokenizer: prompts have about 200 tokens"));
    assert_eq!(workload.ask(Index::Arrival(0)).counted_prompt_tokens, None);
}

#[test]
fn the_chat_template_and_the_special_tokens_are_counted() {
    let with = tokenizer(&BPE_FILE, true);
    let hello = Prompt::Text("Hello".into());
    let around = recount(&BPE_FILE, "Hello", true) - with.count("Hello");
    assert_eq!(with.chat_overhead(), u32::try_from(around).ok());
    assert_eq!(
        with.count_prompt(&hello, true).unwrap() as usize,
        recount(&BPE_FILE, "Hello", true)
    );
    assert_eq!(
        with.count_prompt(&hello, false).unwrap() as usize,
        with.count("Hello") + 1
    );
}

#[test]
fn a_broken_template_is_left_out_and_said() {
    let files = TokenizerFiles {
        tokenizer: &BPE_FILE,
        config: Some(r#"{"chat_template": "{% for %}"}"#),
        template: None,
    };
    let tokenizer = Arc::new(Tokenizer::new("tiny", files).unwrap());
    assert!(tokenizer.template_trouble().is_some());
    let workload = made(
        &generated(Corpus::Limericks, 200, 0),
        true,
        Some(&tokenizer),
    );
    assert!(workload.notes()[0].contains("cannot render its chat template"));
}

#[test]
fn a_file_that_truncates_does_not_shorten_counts() {
    let tokenizer = tokenizer(&MERGING_FILE, false);
    assert_eq!(tokenizer.count(&"x".repeat(100)), 100);
}

#[test]
fn another_tokenizer_than_the_planned_one_is_refused() {
    let tokenizer = tokenizer(&BPE_FILE, false);
    let mut spec = generated(Corpus::Limericks, 200, 0);
    let pin = |sha256: &str| TokenizerRef {
        name: "tiny".to_owned(),
        sha256: sha256.to_owned(),
    };
    spec.tokenizer = Some(pin(tokenizer.sha256()));
    assert!(Workload::new(&spec, Api::Chat, Seed(1), Some(tokenizer.clone()), None, 1).is_ok());
    let refused = Workload::new(&spec, Api::Chat, Seed(1), None, None, 1).unwrap_err();
    assert_eq!(refused.to_string(), "the tokenizer `tiny` is not loaded");
    spec.tokenizer = Some(pin("00"));
    let refused = Workload::new(&spec, Api::Chat, Seed(1), Some(tokenizer), None, 1).unwrap_err();
    assert!(matches!(refused, WorkloadError::TokenizerDiffers { .. }));
}

#[test]
fn rows_are_dealt_by_arrival_and_by_user_and_turn() {
    let row = |i: usize| Row {
        prompt: Some(format!("row {i}")),
        messages: None,
        extra: Map::new(),
    };
    let workload = made(
        &spec(PromptSource::Rows((0..10).map(row).collect())),
        true,
        None,
    );
    let arrivals: Vec<_> = (8..12).map(|i| workload.ask(Index::Arrival(i))).collect();
    assert_eq!(
        arrivals.iter().map(text).collect::<Vec<_>>(),
        ["row 8", "row 9", "row 0", "row 1"]
    );
    for turn in 0..20 {
        let asks: Vec<_> = (0..4)
            .map(|user| workload.ask(Index::Turn { user, turn }))
            .collect();
        let mut texts: Vec<_> = asks.iter().map(text).collect();
        texts.sort_unstable();
        texts.dedup();
        assert_eq!(texts.len(), 4, "turn {turn} repeats a row");
    }
}

#[test]
fn a_rows_own_fields_go_before_the_settings() {
    let tokenizer = tokenizer(&BPE_FILE, true);
    let message = Message {
        role: Role::User,
        content: "Hello".to_owned(),
    };
    let row = Row {
        prompt: Some("Hello, Ann".to_owned()),
        messages: Some(vec![message]),
        extra: json!({"max_tokens": 7, "top_p": 0.5})
            .as_object()
            .unwrap()
            .clone(),
    };
    let spec = spec(PromptSource::Rows(vec![row]));
    let chat = made(&spec, true, Some(&tokenizer)).ask(Index::Arrival(3));
    assert!(matches!(&chat.prompt, Prompt::Messages(messages) if messages.len() == 1));
    assert_eq!(chat.max_tokens, 7);
    assert_eq!(chat.extra.as_ref().unwrap()["top_p"], 0.5);
    let count = u32::try_from(recount(&BPE_FILE, "Hello", true)).unwrap();
    assert_eq!(
        (chat.counted_prompt_tokens, chat.requested_prompt_tokens),
        (Some(count), None)
    );
    let plain = made(&spec, false, Some(&tokenizer)).ask(Index::Arrival(3));
    assert_eq!(text(&plain), "Hello, Ann");
    assert_eq!(
        plain.counted_prompt_tokens,
        u32::try_from(recount(&BPE_FILE, "Hello, Ann", false)).ok()
    );
}

#[test]
fn no_rows_and_an_own_instruction() {
    let none = Workload::new(
        &spec(PromptSource::Rows(vec![])),
        Api::Chat,
        Seed(1),
        None,
        None,
        1,
    );
    assert_eq!(none.unwrap_err(), WorkloadError::NoRows);
    let own = spec(PromptSource::Generated {
        corpus: Corpus::Code,
        tokens: 300,
        shared_prefix_tokens: 0,
        prefix_groups: 1,
        instruction: Some("Find the bug.".to_owned()),
    });
    assert!(text(&made(&own, true, None).ask(Index::Arrival(0))).ends_with("\n\nFind the bug."));
}

/// A prompt and its length.
fn exact_at(tokens: u32, chat: bool, corpus: Corpus, key: u64) -> (usize, Arc<str>) {
    let tokenizer = tokenizer(&BPE_FILE, true);
    let ask = made(&generated(corpus, tokens, 0), chat, Some(&tokenizer)).ask(Index::Arrival(key));
    (recount(&BPE_FILE, text(&ask), chat), text(&ask).into())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    #[test]
    fn any_length_is_exact_and_the_same_in_two_instances(
        tokens in 60_u32..3_000, chat: bool, code: bool, key: u64,
    ) {
        let corpus = if code { Corpus::Code } else { Corpus::Limericks };
        let (count, first) = exact_at(tokens, chat, corpus, key);
        prop_assert_eq!(count, tokens as usize);
        prop_assert_eq!(first, exact_at(tokens, chat, corpus, key).1);
    }

    #[test]
    fn an_ask_is_a_function_of_seed_and_index(seed: u64, user in 0_u32..9, turn in 0_u32..99) {
        let spec = generated(Corpus::Limericks, 300, 50);
        let index = Index::Turn { user, turn };
        let ask = |seed| Workload::new(&spec, Api::Chat, Seed(seed), None, None, 9).unwrap().ask(index);
        prop_assert_eq!(ask(seed), ask(seed));
        prop_assert_ne!(ask(seed).prompt, ask(seed ^ 1).prompt);
    }
}
