//! The page's options, and a form over a command line.

use std::time::Duration;

use super::super::*;
use crate::config::tests::{Around, resolved};
use crate::schedule::Pacing;

fn web(line: &str, around: &Around) -> WebOptions {
    match resolved(line, around) {
        Ok(Command::Web(options)) => *options,
        other => panic!("no page: {other:?}"),
    }
}

fn form(fields: &[(&str, &str)]) -> Form {
    let typed = |(name, value): &(&str, &str)| ((*name).to_owned(), Some((*value).to_owned()));
    fields.iter().map(typed).collect()
}

fn settings(base: &Base, form: &Form, around: &Around) -> Result<Settings, String> {
    match base.run(form, around) {
        Ok(Command::Run(run)) => Ok(run.settings),
        Ok(Command::Master(master)) => Ok(master.settings),
        Ok(other) => panic!("no run: {other:?}"),
        Err(error) => Err(format!("{}: {error}", error.field().unwrap_or("-"))),
    }
}

#[test]
fn the_page_is_served_here_unless_it_is_told_otherwise() {
    let options = web("run --web", &Around::default());
    assert_eq!(options.bind.to_string(), "127.0.0.1:8089");
    assert_eq!((options.autostart, options.autoquit), (false, None));
    assert!(!options.base.is_master());
    let line = "master --web --web-host * --web-port 0 --autostart --autoquit 5 --web-token-file t";
    let options = web(line, &Around::default());
    assert_eq!(options.bind.to_string(), "0.0.0.0:0");
    assert_eq!(options.autoquit, Some(Duration::from_secs(5)));
    assert!(options.autostart && options.token_file.is_some() && options.base.is_master());
    let around = Around::with(&[("LLMLOAD_WEB", "yes"), ("LOCUST_WEB_PORT", "9000")]);
    assert_eq!(web("run", &around).bind.port, 9_000);
    let headless = resolved("run --headless -H http://h -t 1s", &around);
    assert!(matches!(headless, Ok(Command::Run(_))), "{headless:?}");
}

#[test]
fn the_page_is_not_asked_for_and_refused_at_once() {
    for line in [
        "run --web --headless",
        "run --web --journal j",
        "run --autostart",
        "run --web-port 1",
    ] {
        assert!(resolved(line, &Around::default()).is_err(), "{line}");
    }
}

#[test]
fn a_form_is_stronger_than_the_command_line_and_both_than_the_rest() {
    let around = Around::with(&[("LOCUST_USERS", "3"), ("MODEL", "small")]);
    let base = web("run --web -H http://h:1 --qps 5 -t 1m --no-stream", &around).base;
    let usual = settings(&base, &Form::new(), &around).unwrap();
    assert!(matches!(usual.schedule.pacing, Pacing::Open { .. }) && !usual.stream);
    assert_eq!(
        (usual.schedule.users, usual.model.as_deref()),
        (3, Some("small"))
    );
    let filled = form(&[("users", "7"), ("stream", "true"), ("run-time", "5s")]);
    let mut filled_in = filled.clone();
    filled_in.insert("qps".to_owned(), None);
    filled_in.insert("model".to_owned(), None);
    let other = settings(&base, &filled_in, &around).unwrap();
    assert!(matches!(other.schedule.pacing, Pacing::Closed) && other.stream);
    assert_eq!((other.schedule.users, other.model), (7, None));
    assert_eq!(other.schedule.run_time, Some(Duration::from_secs(5)));
    assert!(
        other.command.contains("--users=7") || other.command.contains("--users 7"),
        "{}",
        other.command
    );
    assert!(!other.command.contains("web"), "{}", other.command);
}

#[test]
fn what_is_wrong_is_said_at_its_field() {
    let around = Around::default();
    let base = web("run --web -H http://h:1 -t 9s", &around).base;
    let refused = |fields: &[(&str, &str)]| settings(&base, &form(fields), &around).unwrap_err();
    let all = [
        refused(&[("users", "-1")]),
        refused(&[("run-time", "soon")]),
        refused(&[("host", "nowhere")]),
        refused(&[("qps-distribution", "uniform")]),
        refused(&[("stream", "perhaps")]),
        refused(&[("json-file", "/etc/passwd")]),
    ];
    let fields = all.map(|words| words.split(':').next().unwrap().to_owned());
    assert_eq!(
        fields,
        [
            "users",
            "run-time",
            "host",
            "qps-distribution",
            "stream",
            "json-file"
        ]
    );
}

#[test]
fn keys_of_this_machine_are_for_the_server_that_it_was_started_for() {
    let around = Around::with(&[("API_KEY", "hunter2hunter2")]);
    let base = web(
        "run --web -H http://home:1/base -t 9s --header X-Key:hunter3",
        &around,
    )
    .base;
    let secrets =
        |fields: &[(&str, &str)]| settings(&base, &form(fields), &around).unwrap().secrets;
    assert!(secrets(&[]).api_key.is_some());
    assert!(
        secrets(&[("host", "http://HOME:1/other")])
            .api_key
            .is_some()
    );
    for host in ["http://home:2", "https://home:1", "http://away:1"] {
        let secrets = secrets(&[("host", host)]);
        assert!(
            secrets.api_key.is_none() && secrets.headers.is_empty(),
            "{host}"
        );
    }
    let own = secrets(&[("host", "http://away:1"), ("api-key", "mine")]);
    assert_eq!(
        own.api_key.map(|key| key.expose().to_owned()),
        Some("mine".to_owned())
    );
    let refused = settings(
        &base,
        &form(&[("host", "http://away:1"), ("provider", "gemini")]),
        &around,
    );
    assert!(refused.unwrap_err().starts_with("host: "));
}

#[test]
fn a_form_shows_what_is_in_force_and_no_secret() {
    let around = Around::with(&[("API_KEY", "hunter2hunter2")]);
    let base = web("run --web -u 7 -H http://h:1", &around).base;
    let fields = base.form(&around).unwrap();
    let value = |name: &str| {
        let field = fields.iter().find(|field| field.name == name).unwrap();
        field.value.clone()
    };
    assert_eq!(fields.len(), 19);
    assert_eq!(value("users").as_deref(), Some("7"));
    assert_eq!(value("host").as_deref(), Some("http://h:1"));
    assert_eq!(value("stream").as_deref(), Some("true"));
    assert_eq!((value("qps"), value("api-key")), (None, None));
    assert!(!format!("{fields:?}").contains("hunter"));
    // What it shows comes to the same run.
    let all = fields
        .iter()
        .filter_map(|field| Some((field.name.as_str(), field.value.as_deref()?)));
    let all: Vec<_> = all
        .filter(|(name, _)| *name != "qps-distribution")
        .collect();
    let (same, usual) = (
        settings(&base, &form(&all), &around),
        settings(&base, &Form::new(), &around),
    );
    assert_eq!(same.unwrap().schedule, usual.unwrap().schedule);
}
