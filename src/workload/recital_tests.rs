//! Recited prompts are of their drawn lengths, whatever counts them.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::domain::{Index, Prompt};
use crate::workload::tests::{BPE_FILE, MERGING_FILE, UNIGRAM_FILE, api, output, spec, tokenizer};
use crate::workload::{LengthLaw, LengthSpec, PromptSource, Workload};

fn measure(file: &[u8]) -> Measure {
    Measure::new(Some(tokenizer(file, false)), true)
}

fn recital(mean: f64, stddev: f64, measure: &Measure) -> (Recital, Vec<String>) {
    let mut notes = Vec::new();
    let tokens = Normal { mean, stddev };
    let recital = Recital::new(
        tokens,
        Seed(11_111),
        |key| 1 + (key % 300) as u32,
        measure,
        &mut notes,
    );
    (recital.unwrap(), notes)
}

#[test]
fn a_prompt_has_exactly_its_drawn_tokens_and_names_its_output_length() {
    for (file, adds_up) in [
        (&*BPE_FILE, true),
        (&UNIGRAM_FILE, false),
        (&MERGING_FILE, false),
    ] {
        let measure = measure(file);
        let (recital, notes) = recital(550.0, 150.0, &measure);
        assert!(recital.adds_up || !adds_up);
        for key in 0..60_u32 {
            let recited = recital.at(1 + key, key.into());
            let counted = measure.text(&recited.text);
            // A correction may leave a token where no beginning of a line has the length that is left.
            let most = if recital.adds_up { 0 } else { 2 };
            assert!(
                counted.abs_diff(recited.requested) <= most,
                "{counted} of {}: {}",
                recited.requested,
                recited.text
            );
            assert_eq!(recited.counted, Some(counted));
            let begins = format!(
                "Randomly stream lines from the following text with {} output tokens. Don't generate eos tokens:\n\n",
                1 + key
            );
            assert!(recited.text.starts_with(&begins), "{}", recited.text);
        }
        assert_eq!(notes.is_empty(), recital.adds_up, "{notes:?}");
    }
}

#[test]
fn lines_are_whole_but_for_the_last_and_none_is_there_twice() {
    let measure = measure(&BPE_FILE);
    let (recital, _) = recital(400.0, 0.0, &measure);
    let known: BTreeSet<&str> = Corpus::Sonnets.lines().map(str::trim_end).collect();
    let mut firsts = BTreeSet::new();
    for key in 0..40 {
        let recited = recital.at(100, key);
        let lines: Vec<&str> = recited.text.lines().skip(2).collect();
        let (last, whole) = lines.split_last().unwrap();
        assert!(whole.iter().all(|line| known.contains(line)), "{lines:?}");
        assert!(known.iter().any(|line| line.starts_with(last)), "{last}");
        assert_eq!(whole.iter().collect::<BTreeSet<_>>().len(), whole.len());
        firsts.insert(lines[0].to_owned());
    }
    assert!(firsts.len() > 30, "{} different first lines", firsts.len());
}

#[test]
fn lengths_are_drawn_from_the_normal_distribution_above_the_task_s_own() {
    let measure = measure(&BPE_FILE);
    let (wide, notes) = recital(550.0, 150.0, &measure);
    assert_eq!(notes, [""; 0]);
    let drawn: Vec<f64> = (0..4_000)
        .map(|key| f64::from(wide.draw(30, key).unwrap()))
        .collect();
    let mean = drawn.iter().sum::<f64>() / 4_000.0;
    let deviation = (drawn.iter().map(|it| (it - mean).powi(2)).sum::<f64>() / 4_000.0).sqrt();
    assert!(
        (mean - 550.0).abs() < 8.0 && (deviation - 150.0).abs() < 6.0,
        "{mean} {deviation}"
    );
    let (narrow, notes) = recital(38.0, 40.0, &measure);
    assert!(notes[0].contains("41 is the least"), "{notes:?}");
    let head = narrow.head(7);
    assert!((0..500).all(|key| narrow.at(7, key).requested > head));
}

#[test]
fn a_mean_that_never_covers_the_task_is_refused_with_what_would() {
    let measure = measure(&BPE_FILE);
    let tokens = Normal {
        mean: 5.0,
        stddev: 0.0,
    };
    let error = Recital::new(tokens, Seed(1), |_| 10, &measure, &mut Vec::new()).unwrap_err();
    let WorkloadError::NoRecital { smallest, .. } = error else {
        panic!("{error}");
    };
    let tokens = Normal {
        mean: smallest.into(),
        stddev: 0.0,
    };
    let made = Recital::new(tokens, Seed(1), |_| 10, &measure, &mut Vec::new()).unwrap();
    assert_eq!(made.at(10, 0).requested, smallest);
    for (mean, stddev) in [(f64::NAN, 1.0), (f64::INFINITY, 1.0), (500.0, -1.0)] {
        let tokens = Normal { mean, stddev };
        assert!(Recital::new(tokens, Seed(1), |_| 10, &measure, &mut Vec::new()).is_err());
    }
}

#[test]
fn a_workload_recites_by_request_and_draws_both_lengths() {
    let mut wanted = spec(PromptSource::Recital {
        tokens: Normal {
            mean: 300.0,
            stddev: 50.0,
        },
    });
    wanted.output = LengthSpec {
        law: LengthLaw::Normal,
        range: 0.5,
        ..output(150)
    };
    wanted.around.system = Some(String::new());
    let of = |seed, users| {
        let tokenizer = tokenizer(&BPE_FILE, false);
        Workload::new(&wanted, api(true), Seed(seed), Some(tokenizer), None, users).unwrap()
    };
    let (one, other, another) = (of(1, 4), of(1, 9), of(2, 4));
    let index = |user, turn| Index::Turn { user, turn };
    for at in [index(0, 0), index(3, 2), index(1, 7)] {
        let ask = one.ask(at);
        assert_eq!(ask, other.ask(at));
        assert_ne!(ask, another.ask(at));
        let Prompt::Messages(messages) = &ask.prompt else {
            panic!("{ask:?}");
        };
        assert_eq!(messages[0].content, "");
        assert!(
            messages[1]
                .content
                .contains(&format!(" {} output tokens", ask.max_tokens))
        );
        assert_eq!(ask.counted_prompt_tokens, ask.requested_prompt_tokens);
        assert_eq!(one.recount(at), ask.counted_prompt_tokens);
        assert!(ask.counted_prompt_tokens.is_some());
    }
}

#[test]
fn a_prompt_whose_sum_is_wrong_is_counted_as_it_is() {
    let wanted = spec(PromptSource::Recital {
        tokens: Normal {
            mean: 300.0,
            stddev: 50.0,
        },
    });
    let counter = tokenizer(&BPE_FILE, false);
    let workload =
        |tokenizer| Workload::new(&wanted, api(true), Seed(1), tokenizer, None, 4).unwrap();
    let mut off = workload(Some(counter));
    let crate::workload::Source::Recital(recital) = &mut off.source else {
        panic!("no recital");
    };
    for head in &mut recital.heads {
        *head += 3;
    }
    let index = Index::Turn { user: 1, turn: 5 };
    let ask = off.ask(index);
    let requested = ask.requested_prompt_tokens.unwrap();
    assert_eq!(off.recount(index), Some(requested - 3));
    assert_eq!(workload(None).recount(index), None);
}

#[test]
fn without_a_tokenizer_lengths_are_about_right_and_no_count_is_claimed() {
    let (recital, notes) = recital(500.0, 100.0, &Measure::new(None, true));
    assert_eq!(notes.len(), 1, "{notes:?}");
    for key in 0..20 {
        let recited = recital.at(100, key);
        assert_eq!(recited.counted, None);
        let about = f64::from(crate::workload::estimated_tokens(&recited.text));
        let off = (about / f64::from(recited.requested) - 1.0).abs();
        assert!(off < 0.05, "{about} of {}", recited.requested);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn any_length_is_met(mean in 45_u32..3_000, output in 1_u32..9_000, key: u64) {
        let measure = measure(&BPE_FILE);
        let (recital, _) = recital(mean.into(), 20.0, &measure);
        let recited = recital.at(output, key);
        prop_assert_eq!(measure.text(&recited.text), recited.requested);
    }
}
