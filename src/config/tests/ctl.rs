//! Orders: what stands on the command line alone, and where the master of a settings file is.

use super::super::*;
use super::{Around, resolved};
use crate::domain::Rate;

fn ctl(line: &str, around: &Around) -> CtlOptions {
    match resolved(&format!("ctl {line}"), around) {
        Ok(Command::Ctl(options)) => *options,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn orders_are_what_was_said() {
    let users = |users, spawn_rate: Option<u32>| Order::Users {
        users,
        spawn_rate: spawn_rate.map(Rate::per_second),
    };
    for (line, order) in [
        ("", Order::Status),
        ("workers", Order::Workers),
        ("users 20", users(Users::Exactly(20), None)),
        ("users 0", users(Users::Exactly(0), None)),
        ("users +5 --spawn-rate 2", users(Users::More(5), Some(2))),
        ("users -5 --master h:1", users(Users::More(-5), None)),
        ("--spawn-rate 3 users -5", users(Users::More(-5), Some(3))),
        ("qps 50", Order::Rate(Rate::per_second(50))),
        ("pause", Order::Pause),
        ("resume", Order::Resume),
        ("stop", Order::Stop { abort: false }),
        ("stop --abort", Order::Stop { abort: true }),
    ] {
        assert_eq!(ctl(line, &Around::default()).order, order, "{line}");
    }
    assert!(ctl("--json", &Around::default()).json);
}

#[test]
fn settings_say_where_the_master_is_and_give_no_orders() {
    // Keys of a run mean nothing here, though an order has options of the same names.
    let conf = "master = m:7\nspawn-rate = 5\njson = true\nusers = 3";
    let options = ctl("users 9", &Around::conf(conf));
    assert_eq!(options.connection.master.to_string(), "m:7");
    assert_eq!(
        (options.order, options.json),
        (
            Order::Users {
                users: Users::Exactly(9),
                spawn_rate: None
            },
            false
        )
    );
    let env = Around::with(&[
        ("LOCUST_MASTER_NODE_HOST", "n"),
        ("LOCUST_SPAWN_RATE", "5"),
        ("LOCUST_JSON", "true"),
        ("LLMLOAD_ABORT", "true"),
    ]);
    let options = ctl("stop", &env);
    assert_eq!(options.connection.master.to_string(), "n:5557");
    assert_eq!(options.order, Order::Stop { abort: false });
    assert!(resolved("ctl", &Around::conf("abort = true")).is_err());
    assert!(resolved("ctl", &Around::conf("ordre = stop")).is_err());
}

#[test]
fn an_order_that_makes_no_sense_says_why() {
    let said = |line: &str| {
        let error = resolved(&format!("ctl {line}"), &Around::default()).unwrap_err();
        assert_eq!(error.exit_status(), 2);
        let hint = error.hint().unwrap_or_default();
        format!("{error}; {hint}")
    };
    let lines = [
        "users",
        "qps",
        "users many",
        "users 1.5",
        "users 4294967296",
        "qps 0",
        "qps fast",
        "pause 3",
        "stop --spawn-rate 3",
        "status --abort",
        "stop --json",
    ];
    insta::assert_snapshot!(lines.map(said).join("\n"), @r"
    `users` needs a value; ctl users 20, or +5, or -5
    `qps` needs a value; ctl qps 12.5
    `many` is no number of users; write 20, or +5, or -5
    `1.5` is no number of users; write 20, or +5, or -5
    `4294967296` is no number of users; write 20, or +5, or -5
    a rate of 0 per second is outside of 1e-9 to 1e9; `llmload ctl pause` sends nothing for a while
    `fast` is not a number of events per second; `llmload ctl pause` sends nothing for a while
    `pause` takes no value; llmload ctl --help says which order takes what
    `stop` takes no --spawn-rate; llmload ctl --help says which order takes what
    `status` takes no --abort; llmload ctl --help says which order takes what
    `stop` takes no --json; llmload ctl --help says which order takes what
    ");
}
