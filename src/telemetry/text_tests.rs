//! Escapes, numbers and bounds. What a whole page says is read by a reader of others in this room's tests.

use super::*;
use crate::telemetry::catalogue::Def;

fn family(kind: Kind, name: &'static str, help: &'static str, value: &str) -> Family {
    Family {
        def: Def::new(kind, name, &["model"], help),
        samples: vec![Sample {
            labels: vec![("model", value.to_owned())],
            value: Value::Count(3),
        }],
        is_part: false,
    }
}

#[test]
fn quotes_backslashes_and_new_lines_do_not_end_a_value() {
    let odd = family(Kind::Gauge, "llmload_x", "a \"b\"\\c\nd", "a\"b\\c\nd{}=,é");
    assert_eq!(
        classic(std::slice::from_ref(&odd)),
        "# HELP llmload_x a \"b\"\\\\c\\nd\n# TYPE llmload_x gauge\nllmload_x{model=\"a\\\"b\\\\c\\nd{}=,é\"} 3\n"
    );
    assert!(open_metrics(&[odd]).starts_with("# HELP llmload_x a \\\"b\\\"\\\\c\\nd\n"));
}

#[test]
fn the_formats_differ_in_names_kinds_and_units() {
    let counter = family(Kind::Counter, "llmload_x_seconds_total", "h", "m");
    assert_eq!(
        open_metrics(std::slice::from_ref(&counter)),
        "# HELP llmload_x_seconds h\n# TYPE llmload_x_seconds counter\n# UNIT llmload_x_seconds seconds\n\
         llmload_x_seconds_total{model=\"m\"} 3\n# EOF\n"
    );
    assert!(classic(&[counter]).contains("# TYPE llmload_x_seconds_total counter\n"));
    let info = family(Kind::Info, "llmload_x_info", "h", "m");
    assert!(
        open_metrics(std::slice::from_ref(&info))
            .contains("# TYPE llmload_x info\nllmload_x_info{")
    );
    assert!(classic(&[info]).contains("# TYPE llmload_x_info gauge\n"));
}

#[test]
fn numbers_are_written_as_both_formats_read_them() {
    for (number, text) in [
        (0.0, "0.0"),
        (1.5, "1.5"),
        (1e-9, "1e-9"),
        (f64::INFINITY, "+Inf"),
        (f64::NEG_INFINITY, "-Inf"),
        (f64::NAN, "NaN"),
    ] {
        assert_eq!(float(number), text);
    }
}

#[test]
fn bounds_are_written_as_the_server_writes_them() {
    for (bound, label) in [
        (1e-5, "1e-05"),
        (1.6e-5, "1.6e-05"),
        (0.0001, "0.0001"),
        (0.063, "0.063"),
        (1.0, "1.0"),
        (1000.0, "1000.0"),
        (524_288.0, "524288.0"),
        (1_048_576.0, "1.048576e+06"),
        (f64::INFINITY, "+Inf"),
    ] {
        assert_eq!(bound_label(bound), label);
    }
}
