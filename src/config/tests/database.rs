//! Where rows go: who asks for a database, what says where it is, and that nobody is shown its password.

use super::settings::run_in;
use super::{Around, resolved};
use crate::config::*;

const WORD: &str = "geheim-17";

#[test]
fn an_address_or_a_flag_asks_for_a_database_and_nothing_else_does() {
    let place = Around::with(&[("PGHOST", "db"), ("PGPASSWORD", WORD)]);
    assert_eq!(run_in("", &place).settings.database, None);
    let asked = run_in("--timescale", &place).settings.database.unwrap();
    assert_eq!((asked.host.as_deref(), asked.port), (Some("db"), None));
    assert_eq!(asked.password.unwrap().expose(), WORD);
    let line = "--pg-url postgresql://u@h/d --pg-spool-max 3 --pg-requests";
    let asked = run_in(line, &Around::default());
    let database = asked.settings.database.unwrap();
    assert!(asked.pg_requests);
    assert_eq!(
        (database.spool_max, database.schema.as_str()),
        (3_000_000, "llmload")
    );
}

#[test]
fn the_keys_of_old_files_are_read() {
    let old = Around::conf(&format!(
        "timescale = true\npghost = db\npgport = 5433\npguser = loads\npgpassword = {WORD}\n"
    ));
    let database = run_in("", &old).settings.database.unwrap();
    assert_eq!(database.host.as_deref(), Some("db"));
    assert_eq!(database.user.as_deref(), Some("loads"));
    assert_eq!((database.port, database.name), (Some(5433), None));
    assert_eq!(database.password.unwrap().expose(), WORD);
}

#[test]
fn who_runs_this_is_the_user_where_none_is_named() {
    let around = Around::with(&[("USER", "somebody")]);
    let user = |line| run_in(line, &around).settings.database.unwrap().user;
    assert_eq!(user("--timescale").as_deref(), Some("somebody"));
    assert_eq!(user("--timescale --pguser u").as_deref(), Some("u"));
}

#[test]
fn no_password_is_shown_in_settings_commands_or_errors() {
    let url = format!("postgresql://u:{WORD}@h/d?password={WORD}");
    let conf = Around::conf(&format!(
        "pg-url = {url}\npgpassword = {WORD}\npg-requests = true\n"
    ));
    let shown = match resolved("run --show-config", &conf).unwrap() {
        Command::ShowConfig(text) => text,
        other => panic!("{other:?}"),
    };
    assert!(shown.contains("postgresql://u:***@h/d"), "{shown}");
    assert!(!shown.contains(WORD), "{shown}");
    let options = run_in("", &conf);
    assert!(!format!("{options:?}").contains(WORD));
    assert!(!options.settings.command.contains(WORD));
    for wrong in [
        format!("--pg-url mysql://u:{WORD}@h/d"),
        format!("--pg-url {url} --pg-schema 1"),
        format!("--pgpassword {WORD}"),
    ] {
        let error = resolved(&format!("run {wrong}"), &Around::default()).unwrap_err();
        let error = format!("{error} {error:?}");
        assert!(!error.contains(WORD), "{error}");
    }
}

#[test]
fn a_port_of_the_environment_that_is_none_is_refused() {
    let cli = database_options(clap::Command::new("pg-load"));
    let matches = cli.try_get_matches_from(["pg-load"]).unwrap();
    let of = |port| database_of(&matches, &Around::with(&[("PGPORT", port)]));
    assert_eq!(of("5433").unwrap().port, Some(5433));
    assert_eq!(of("many").unwrap_err(), "PGPORT: `many` is no port");
}
