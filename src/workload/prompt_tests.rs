//! What is asked for beside plain generated prompts: random ones, groups, shapes, forced texts, batches.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::tests::{
    BPE_FILE, MERGING_FILE, UNIGRAM_FILE, api, common_start, generated, output, recount, spec,
    text, tokenizer,
};
use super::tokenizer::COUNTED;
use super::*;
use crate::domain::{Message, Part, Role};

fn random(tokens: u32, shared_prefix_tokens: u32, prefix_groups: u32) -> Spec {
    spec(PromptSource::Random {
        tokens,
        shared_prefix_tokens,
        prefix_groups,
    })
}

fn grouped(corpus: Corpus, tokens: u32, shared_prefix_tokens: u32, prefix_groups: u32) -> Spec {
    spec(PromptSource::Generated {
        corpus,
        tokens,
        shared_prefix_tokens,
        prefix_groups,
        instruction: None,
    })
}

fn of(spec: &Spec, api: Api, tokenizer: Option<&Arc<Tokenizer>>) -> Workload {
    Workload::new(spec, api, Seed(42), tokenizer.cloned(), None, 4).unwrap()
}

fn refused(spec: &Spec, api: Api) -> WorkloadError {
    Workload::new(spec, api, Seed(42), None, None, 4).unwrap_err()
}

fn asks(workload: &Workload, count: u64) -> Vec<Ask> {
    (0..count)
        .map(|i| workload.ask(Index::Arrival(i)))
        .collect()
}

fn texts(workload: &Workload, count: u64) -> Vec<Arc<str>> {
    asks(workload, count)
        .iter()
        .map(|ask| text(ask).into())
        .collect()
}

fn row(text: &str) -> Row {
    Row {
        prompt: Some(text.to_owned()),
        messages: None,
        extra: Map::new(),
    }
}

fn messages(list: &[(Role, &str)]) -> Row {
    let message = |(role, content): &(Role, &str)| Message {
        role: *role,
        content: (*content).to_owned(),
    };
    Row {
        prompt: None,
        messages: Some(list.iter().map(message).collect()),
        extra: Map::new(),
    }
}

#[test]
fn random_prompts_have_exactly_the_wanted_tokens_and_no_two_are_equal() {
    for file in [&*BPE_FILE, &UNIGRAM_FILE] {
        let tokenizer = tokenizer(file, true);
        for (tokens, chat) in [(40, true), (41, false), (512, true), (3_000, false)] {
            let workload = of(&random(tokens, 0, 1), api(chat), Some(&tokenizer));
            assert_eq!(workload.notes(), [""; 0], "{tokens}");
            let asks = asks(&workload, 20);
            for ask in &asks {
                assert_eq!(recount(file, text(ask), chat), tokens as usize);
                assert_eq!(ask.requested_prompt_tokens, Some(tokens));
                assert_eq!(ask.counted_prompt_tokens, Some(tokens));
            }
            let distinct: BTreeSet<&str> = asks.iter().map(text).collect();
            assert_eq!(distinct.len(), asks.len());
        }
    }
}

#[test]
fn random_prompts_are_words_of_the_vocabulary_that_are_no_text() {
    let tokenizer = tokenizer(&BPE_FILE, true);
    let workload = of(&random(300, 0, 1), Api::Chat, Some(&tokenizer));
    let vocabulary: BTreeSet<String> = tokenizer.words().into_iter().collect();
    let text = texts(&workload, 1)[0].clone();
    assert!(
        text.split(' ')
            .skip(1)
            .all(|word| vocabulary.contains(word))
    );
    let distinct: BTreeSet<&str> = text.split(' ').collect();
    assert!(
        distinct.len() > 100,
        "{} words in 300 tokens",
        distinct.len()
    );
}

#[test]
fn random_prompts_of_a_tokenizer_of_letters_are_exact_too() {
    let tokenizer = tokenizer(&MERGING_FILE, false);
    for tokens in [10, 99, 500] {
        let workload = of(&random(tokens, 0, 1), Api::Completion, Some(&tokenizer));
        for text in texts(&workload, 10) {
            assert_eq!(recount(&MERGING_FILE, &text, false), tokens as usize);
        }
    }
}

#[test]
fn random_prompts_without_a_tokenizer_are_told_to_be_estimates() {
    let workload = of(&random(512, 0, 1), Api::Chat, None);
    assert!(workload.notes()[0].starts_with("no tokenizer: prompts have about 512 tokens"));
    let ask = workload.ask(Index::Arrival(0));
    assert_eq!(ask.counted_prompt_tokens, None);
    assert_eq!(estimate::tokens(text(&ask)) + estimate::CHAT_OVERHEAD, 512);
}

#[test]
fn nothing_is_tokenized_for_a_request() {
    let tokenizer = tokenizer(&BPE_FILE, true);
    let mut specs = vec![random(512, 100, 3), grouped(Corpus::Sonnets, 900, 100, 3)];
    for spec in &mut specs {
        spec.shape.randomize = true;
        spec.forced = Some(Forced::Corpus);
    }
    for spec in specs {
        let workload = of(&spec, Api::Chat, Some(&tokenizer));
        let before = COUNTED.get();
        assert!(before > 0);
        let _asks = asks(&workload, 50);
        assert_eq!(COUNTED.get(), before);
    }
}

#[test]
fn prompts_of_a_group_share_exactly_its_prefix() {
    let tokenizer = tokenizer(&BPE_FILE, true);
    for spec in [
        random(300, 100, 5),
        grouped(Corpus::Limericks, 400, 100, 5),
        grouped(Corpus::Code, 400, 120, 5),
    ] {
        let shared = match spec.prompts {
            PromptSource::Generated {
                shared_prefix_tokens: it,
                ..
            }
            | PromptSource::Random {
                shared_prefix_tokens: it,
                ..
            } => it as usize,
            _ => 0,
        };
        let workload = of(&spec, Api::Chat, Some(&tokenizer));
        assert!(
            workload
                .notes()
                .iter()
                .any(|note| note.contains("one of 5 common prefixes"))
        );
        let mut groups: BTreeMap<usize, Vec<Arc<str>>> = BTreeMap::new();
        for (i, text) in (0..120).zip(texts(&workload, 120)) {
            let group = Draw::prompt(Seed(42), i).group(5);
            groups.entry(group).or_default().push(text);
        }
        assert_eq!(groups.len(), 5);
        let prefixes: Vec<String> = groups.values().map(|texts| prefix(texts)).collect();
        for prefix in &prefixes {
            assert_eq!(alone(&tokenizer, prefix), shared, "{prefix}");
        }
        // Groups part at once.
        for (a, b) in prefixes.iter().zip(&prefixes[1..]) {
            assert!(common_start(a, b) < 30, "{a}\n{b}");
        }
    }
}

/// Tokens of a prefix: of paragraphs without the word after them.
fn alone(tokenizer: &Tokenizer, prefix: &str) -> usize {
    if !prefix.ends_with("\n\n") {
        return tokenizer.count(prefix);
    }
    tokenizer.count(&format!("{prefix}Once")) + tokenizer.count("A.\n\n")
        - tokenizer.count("A.\n\nOnce")
}

/// What all texts begin with, up to a whole word or paragraph.
fn prefix(texts: &[Arc<str>]) -> String {
    let first = &texts[0];
    let common = texts[1..]
        .iter()
        .map(|text| common_start(first, text))
        .min()
        .unwrap();
    let joint = first[..common].rfind("\n\n").map(|at| at + 2);
    first[..joint.or(first[..=common].rfind(' ')).unwrap()].to_owned()
}

#[test]
fn groups_without_a_prefix_are_told_and_too_many_short_ones_refused() {
    let tokenizer = tokenizer(&BPE_FILE, true);
    let workload = of(&random(300, 0, 5), Api::Chat, Some(&tokenizer));
    assert!(
        workload.notes()[0].contains("a prefix of no tokens"),
        "{:?}",
        workload.notes()
    );
    let spec = random(300, 1, 50_000);
    let error = Workload::new(&spec, Api::Chat, Seed(1), Some(tokenizer), None, 1).unwrap_err();
    let WorkloadError::PrefixGroups {
        tokens: 1,
        groups: 50_000,
        found,
    } = error
    else {
        panic!("{error}");
    };
    assert!((1..256).contains(&found), "{found}");
}

#[test]
fn one_group_has_the_prefix_that_it_always_had() {
    let workload = of(&generated(Corpus::Limericks, 300, 60), Api::Chat, None);
    let text = texts(&workload, 1)[0].to_string();
    insta::assert_snapshot!(text.lines().next().unwrap(), @"A cyclist who rode through the night");
}

#[test]
fn randomized_prompts_have_nothing_in_common_and_are_still_exact() {
    let tokenizer = tokenizer(&BPE_FILE, true);
    for mut spec in [random(300, 100, 1), generated(Corpus::Limericks, 400, 100)] {
        let plain = texts(&of(&spec, Api::Chat, Some(&tokenizer)), 20);
        spec.shape.randomize = true;
        let workload = of(&spec, Api::Chat, Some(&tokenizer));
        let asks = asks(&workload, 20);
        let mut sorted: Vec<&str> = asks.iter().map(text).collect();
        sorted.sort_unstable();
        let longest = sorted
            .windows(2)
            .map(|pair| common_start(pair[0], pair[1]))
            .max();
        assert!(longest < Some(24), "{longest:?}");
        let shared = prefix(&plain);
        for ask in &asks {
            let tokens = ask.counted_prompt_tokens.unwrap();
            assert_eq!(recount(&BPE_FILE, text(ask), true), tokens as usize);
            assert_eq!(ask.requested_prompt_tokens, Some(tokens));
            assert!(text(ask).contains(&shared) && !text(ask).starts_with(&shared));
        }
    }
}

#[test]
fn randomized_texts_and_rows_begin_with_words_of_their_own() {
    let tokenizer = tokenizer(&BPE_FILE, true);
    let talk = [
        (Role::System, "Be brief"),
        (Role::User, "Hi"),
        (Role::Assistant, "Ho"),
        (Role::User, "Hm"),
    ];
    for prompts in [
        PromptSource::Text("Hello".to_owned()),
        PromptSource::Rows(vec![messages(&talk)]),
    ] {
        let mut spec = spec(prompts);
        spec.shape.randomize = true;
        let workload = of(&spec, Api::Chat, Some(&tokenizer));
        let firsts: BTreeSet<String> = asks(&workload, 20)
            .iter()
            .map(|ask| {
                assert_eq!(ask.counted_prompt_tokens, None);
                match &ask.prompt {
                    Prompt::Text(text) => text.strip_suffix("\n\nHello").unwrap().to_owned(),
                    Prompt::Messages(list) => {
                        assert_eq!((&*list[0].content, &*list[3].content), ("Be brief", "Hm"));
                        list[1].content.strip_suffix("\n\nHi").unwrap().to_owned()
                    }
                    _ => panic!("neither a text nor messages"),
                }
            })
            .collect();
        assert_eq!(firsts.len(), 20);
    }
}

#[test]
fn characters_are_counted_whatever_prompts_are_made_of() {
    let tokenizer = tokenizer(&BPE_FILE, true);
    let sources = [
        generated(Corpus::Sonnets, 600, 0).prompts,
        random(300, 20, 2).prompts,
        PromptSource::Rows(vec![
            row("Gr\u{fc}\u{df}e \u{4f60}\u{597d}"),
            row(&"\u{e9}".repeat(5_000)),
        ]),
    ];
    for prompts in sources {
        let rows = matches!(prompts, PromptSource::Rows(_));
        let mut spec = spec(prompts);
        spec.shape.chars = Some(1_234);
        for ask in asks(&of(&spec, Api::Chat, Some(&tokenizer)), 6) {
            assert_eq!(text(&ask).chars().count(), 1_234);
            assert_eq!(ask.requested_prompt_tokens, None);
            // What is the same for every request is counted before the run.
            let count = rows.then(|| recount(&BPE_FILE, text(&ask), true));
            assert_eq!(
                ask.counted_prompt_tokens.map(|tokens| tokens as usize),
                count
            );
        }
    }
}

#[test]
fn images_go_into_chats_of_texts_alone() {
    let mut spec = generated(Corpus::Limericks, 300, 0);
    let size = Resolution {
        width: 16,
        height: 8,
    };
    spec.shape.images = vec![size, size];
    for api in [Api::Completion, Api::Embeddings, Api::Rerank] {
        assert_eq!(refused(&spec, api), WorkloadError::Images);
    }
    let tokenizer = tokenizer(&BPE_FILE, true);
    let workload = of(&spec, Api::Chat, Some(&tokenizer));
    let ask = workload.ask(Index::Arrival(1));
    assert_eq!(
        (ask.requested_prompt_tokens, ask.counted_prompt_tokens),
        (Some(300), None)
    );
    let Prompt::Parts(parts) = &ask.prompt else {
        panic!("images without parts");
    };
    let kinds: Vec<bool> = parts
        .iter()
        .map(|part| matches!(part, Part::Image(_)))
        .collect();
    assert_eq!(kinds, [false, true, false, true, false]);
    assert!(
        workload
            .notes()
            .iter()
            .any(|note| note.starts_with("the tokens of images"))
    );
    spec.prompts = PromptSource::Rows(vec![row("a"), messages(&[(Role::User, "b")])]);
    assert_eq!(refused(&spec, Api::Chat), WorkloadError::ImagesInMessages);
}

#[test]
fn forced_texts_come_in_turn_by_the_number_of_the_request() {
    let mut spec = generated(Corpus::Limericks, 300, 0);
    spec.forced = Some(Forced::Texts(["a", "b", "c"].map(str::to_owned).to_vec()));
    let workload = of(&spec, Api::Chat, None);
    let said: Vec<_> = asks(&workload, 5)
        .into_iter()
        .map(|ask| ask.forced.unwrap())
        .collect();
    assert_eq!(said.iter().map(|text| &**text).collect::<String>(), "abcab");
    let turn = workload.ask(Index::Turn { user: 1, turn: 1 });
    assert_eq!(turn.forced.as_deref(), Some("c"));
    spec.forced = Some(Forced::Texts(Vec::new()));
    assert_eq!(refused(&spec, Api::Chat), WorkloadError::NoForcedTexts);
    spec.forced = Some(Forced::Corpus);
    assert_eq!(refused(&spec, Api::Chat), WorkloadError::ForcedTokenizer);
}

#[test]
fn forced_text_of_the_corpus_has_as_many_tokens_as_are_asked_for() {
    for (file, corpus) in [
        (&*BPE_FILE, Corpus::Limericks),
        (&BPE_FILE, Corpus::Code),
        (&UNIGRAM_FILE, Corpus::Sonnets),
    ] {
        let tokenizer = tokenizer(file, true);
        // From 1 to 400, and a long one.
        for (mean, range) in [(200, 0.995), (2_000, 0.0)] {
            let mut spec = generated(corpus, 900, 0);
            spec.forced = Some(Forced::Corpus);
            spec.output = LengthSpec {
                law: LengthLaw::Uniform,
                range,
                ..output(mean)
            };
            let workload = of(&spec, Api::Chat, Some(&tokenizer));
            assert_eq!(workload.notes(), [""; 0], "{corpus:?} {mean}");
            for ask in asks(&workload, 120) {
                let forced = ask.forced.unwrap();
                assert_eq!(
                    tokenizer.count(&forced),
                    ask.max_tokens as usize,
                    "{forced}"
                );
            }
        }
        let spec = Spec {
            forced: Some(Forced::Corpus),
            ..generated(corpus, 900, 0)
        };
        let said: BTreeSet<_> = asks(&of(&spec, Api::Chat, Some(&tokenizer)), 12)
            .into_iter()
            .map(|ask| ask.forced)
            .collect();
        assert!(said.len() > 4, "{} texts of 12 differ", said.len());
    }
}

#[test]
fn a_batch_holds_prompts_of_its_own_and_their_counts_add_up() {
    let tokenizer = tokenizer(&BPE_FILE, true);
    let mut spec = generated(Corpus::Limericks, 100, 0);
    let single = texts(&of(&spec, Api::Completion, Some(&tokenizer)), 12);
    spec.batch.texts = 4;
    let workload = of(&spec, Api::Embeddings, Some(&tokenizer));
    let mut all = Vec::new();
    for ask in asks(&workload, 3) {
        let Prompt::Batch(texts) = &ask.prompt else {
            panic!("no batch");
        };
        let sum: usize = texts
            .iter()
            .map(|text| recount(&BPE_FILE, text, false))
            .sum();
        assert_eq!((texts.len(), sum), (4, 400));
        assert_eq!(
            (ask.requested_prompt_tokens, ask.counted_prompt_tokens),
            (Some(400), Some(400))
        );
        all.extend(texts.iter().cloned());
    }
    // The same prompts that single requests would be.
    assert_eq!(all, single);
}

#[test]
fn a_batch_of_rows_holds_the_next_ones() {
    let rows = (0..5).map(|i| row(&i.to_string())).collect();
    let mut spec = spec(PromptSource::Rows(rows));
    spec.batch.texts = 3;
    let workload = of(&spec, Api::Embeddings, None);
    let batches = asks(&workload, 3).into_iter().map(|ask| match ask.prompt {
        Prompt::Batch(texts) => texts.concat(),
        _ => panic!("no batch"),
    });
    assert_eq!(batches.collect::<Vec<_>>(), ["012", "340", "123"]);
}

fn documents(ask: &Ask) -> &[Arc<str>] {
    match &ask.prompt {
        Prompt::Documents(documents) => documents,
        _ => panic!("no documents"),
    }
}

#[test]
fn the_paragraphs_of_a_prompt_are_the_documents() {
    let spec = spec(PromptSource::Text(
        "one\ntwo\n\n\n\nthree\n\nfour\n".to_owned(),
    ));
    let ask = of(&spec, Api::Rerank, None).ask(Index::Arrival(0));
    let said: Vec<&str> = documents(&ask).iter().map(|it| &**it).collect();
    assert_eq!(said, ["one\ntwo", "three", "four"]);
}

#[test]
fn made_up_documents_are_exact_and_all_different() {
    let tokenizer = tokenizer(&BPE_FILE, true);
    let mut spec = generated(Corpus::Limericks, 320, 0);
    for (given, tokens, want) in [
        (Some(4), None, (4, 80)),
        (None, Some(33), (10, 33)),
        (Some(3), Some(7), (3, 7)),
    ] {
        spec.batch.documents = given;
        spec.batch.document_tokens = tokens;
        let workload = of(&spec, Api::Rerank, Some(&tokenizer));
        assert_eq!(workload.notes(), [""; 0]);
        let asks = asks(&workload, 10);
        let mut seen = BTreeSet::new();
        for ask in &asks {
            assert_eq!(documents(ask).len(), want.0);
            assert_eq!(
                ask.requested_prompt_tokens.map(|all| all as usize),
                Some(want.0 * want.1)
            );
            for document in documents(ask) {
                assert_eq!(tokenizer.count(document), want.1);
                assert!(seen.insert(document.clone()), "{document} comes twice");
            }
        }
    }
}

#[test]
fn documents_need_a_length_when_the_prompt_has_none() {
    let mut spec = spec(PromptSource::Text("Hello".to_owned()));
    spec.batch.documents = Some(3);
    let error = refused(&spec, Api::Rerank);
    assert_eq!(error, WorkloadError::DocumentTokens);
    assert_eq!(error.hint().as_deref(), Some("--tokens-per-document"));
    spec.batch.document_tokens = Some(5);
    assert_eq!(
        documents(&of(&spec, Api::Rerank, None).ask(Index::Arrival(0))).len(),
        3
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn any_random_length_is_exact_with_any_prefix(
        tokens in 60_u32..1_500, share in 0_u32..40, groups in 1_u32..4, chat: bool, randomize: bool, key: u64,
    ) {
        let tokenizer = tokenizer(&UNIGRAM_FILE, true);
        let mut spec = random(tokens, share, groups);
        spec.shape.randomize = randomize;
        let ask = || of(&spec, api(chat), Some(&tokenizer)).ask(Index::Arrival(key));
        prop_assert_eq!(recount(&UNIGRAM_FILE, text(&ask()), chat), tokens as usize);
        // Whoever sends it.
        prop_assert_eq!(ask(), ask());
    }

    #[test]
    fn seven_workers_make_what_one_makes(seed: u64, randomize: bool, chars in prop::option::of(1_u32..4_000)) {
        let mut spec = grouped(Corpus::Sonnets, 700, 90, 3);
        spec.shape = Shape { chars, randomize, ..Shape::default() };
        spec.forced = Some(Forced::Texts(vec!["a".to_owned(), "b".to_owned()]));
        let worker = || Workload::new(&spec, Api::Chat, Seed(seed), None, None, 9).unwrap();
        let seven: Vec<Workload> = (0..7).map(|_| worker()).collect();
        let one = worker();
        for i in 0..21_usize {
            let index = Index::Arrival(i as u64);
            prop_assert_eq!(one.ask(index), seven[i % 7].ask(index));
        }
    }
}
