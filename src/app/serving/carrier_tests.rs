//! How loads become runs.

use clap::FromArgMatches;

use super::super::args::{BENCH_SUITE, SuiteArgs, command};
use super::*;
use crate::domain::Secret;

fn carrier(line: &str) -> Result<(Target, Carrier), String> {
    let argv = std::iter::once(BENCH_SUITE).chain(line.split_whitespace());
    let matches = command(BENCH_SUITE).try_get_matches_from(argv).unwrap();
    let args = SuiteArgs::from_arg_matches(&matches).unwrap();
    let target = Target::of(&args.server, false).map_err(|failure| failure.to_string())?;
    let carrier = Carrier::of(&matches, &target, 5).map_err(|failure| failure.to_string())?;
    Ok((target, carrier))
}

fn load(pace: Pace) -> Load {
    Load {
        pace,
        prompts: PromptSource::Text("Hey".to_owned()),
        has_letters: true,
        output: 16,
        seed: 3,
        max_requests: 9,
        max_duration: Some(Duration::from_secs(8)),
        enough: None,
    }
}

#[test]
fn several_users_rest_a_little_and_one_does_not() {
    let (target, carrier) = carrier("--timeout 7 --api-key k").unwrap();
    assert_eq!(carrier.settings().secrets.api_key, Some(Secret::new("k")));
    let schedule = |pace| {
        let carrying = carrier.carrying(&target, "m", &load(pace));
        carrying.settings().schedule.clone()
    };
    let several = schedule(Pace::Users(3));
    assert_eq!((several.users, several.spread), (3, SPREAD));
    assert_eq!(several.think, Some(Think::Between(Duration::ZERO, THINK)));
    for pace in [Pace::Users(1), Pace::Wave(4)] {
        let schedule = schedule(pace);
        assert_eq!((schedule.spread, schedule.think), (Duration::ZERO, None));
    }
    let rate = schedule(Pace::Poisson(Rate::per_second(2)));
    assert_eq!(rate.users, 9);
    assert!(matches!(
        rate.pacing,
        Pacing::Open {
            law: Law::Exponential,
            ..
        }
    ));
}

#[test]
fn a_run_of_a_suite_waits_for_what_it_sent_and_keeps_times() {
    let (target, carrier) = carrier("--timeout 7").unwrap();
    let carrying = carrier.carrying(&target, "m", &load(Pace::Users(1)));
    let settings = carrying.settings();
    assert_eq!(settings.limits.total, Some(Duration::from_secs(7)));
    assert!(settings.limits.stop > Duration::from_secs(7));
    assert_eq!(settings.observe.answers, Some(Keep::Times));
    assert_eq!(settings.shape.letters, 4);
    assert_eq!(settings.sampling.temperature, Some(0.0));
    assert_eq!(settings.around.extra["min_tokens"], 16);
}

#[test]
fn options_of_the_other_command_are_refused() {
    assert!(matches!(
        carrier("--expect-workers 2").unwrap().1,
        Carrier::Workers(_)
    ));
    let message = carrier("--max-workers 2").err().unwrap();
    assert!(
        message.contains("is of a test that workers carry out"),
        "{message}"
    );
    let message = carrier("--expect-workers 2 --threads 1").err().unwrap();
    assert!(
        message.contains("is of the machine that sends"),
        "{message}"
    );
}
