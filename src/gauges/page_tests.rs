//! Pages of all servers, real ones and ones after their documentation, and text that is no page.

use proptest::prelude::*;

use super::*;

/// The pages of vLLM 0.32 and llama.cpp are real, without their comments; the others are written after the servers' documentation.
const VLLM: &str = include_str!("pages/vllm.txt");
const VLLM_OLD: &str = include_str!("pages/vllm-old.txt");
const SGLANG: &str = include_str!("pages/sglang.txt");
const TGI: &str = include_str!("pages/tgi.txt");
const LLAMACPP: &str = include_str!("pages/llamacpp.txt");
const TRITON: &str = include_str!("pages/triton.txt");

fn page(server: &'static str, gauges: [Option<f64>; 3], counters: [Option<f64>; 2]) -> Page {
    Page {
        server,
        running: gauges[0],
        waiting: gauges[1],
        cache: gauges[2],
        counters: Counters {
            prompt_tokens: counters[0],
            output_tokens: counters[1],
        },
    }
}

#[test]
fn each_servers_page_is_read_by_its_own_names() {
    let zero = Some(0.0);
    let tokens = |prompt, output| [Some(prompt), Some(output)];
    assert_eq!(
        read(VLLM),
        page("vllm", [zero, zero, zero], tokens(3.0, 16.0))
    );
    assert_eq!(
        read(SGLANG),
        page(
            "sglang",
            [Some(162.0), Some(2826.0), Some(0.28)],
            tokens(8_128_902.0, 7_557_572.0)
        )
    );
    assert_eq!(
        read(TGI),
        page("tgi", [Some(6.0), Some(2.0), None], tokens(7168.0, 896.0))
    );
    // What came from the cache is part of the prompts.
    assert_eq!(
        read(LLAMACPP),
        page("llamacpp", [zero, zero, None], tokens(6.0, 32.0))
    );
    assert_eq!(
        read(TRITON),
        page("triton", [None, Some(4.0), None], [None, None])
    );
}

#[test]
fn of_several_engines_the_fullest_cache_counts_and_all_else_is_summed() {
    assert_eq!(
        read(VLLM_OLD),
        page(
            "vllm",
            [Some(8.0), Some(2.0), Some(0.75)],
            [Some(2_000_000.0), Some(777.0)]
        )
    );
}

#[test]
fn an_underscore_separates_as_a_colon_does() {
    assert_eq!(read(&SGLANG.replace("sglang:", "sglang_")), read(SGLANG));
}

#[test]
fn a_server_behind_triton_is_known_by_its_own_names() {
    let both = format!("{TRITON}{VLLM_OLD}");
    assert_eq!(read(&both), read(VLLM_OLD));
}

#[test]
fn what_is_no_number_is_not_told() {
    for value in ["NaN", "+Inf", "-Inf", "many", "", "{}"] {
        let line = format!("vllm:num_requests_running{{a=\"b\"}} {value}\n");
        assert_eq!(read(&line), Page::default(), "{line}");
    }
    let one_of_two = "tgi_queue_size NaN\ntgi_queue_size 3\n";
    assert_eq!(read(one_of_two).waiting, Some(3.0));
    for other in [
        "",
        "<html>404</html>",
        "vllm:num_requests_running_total 3",
        "# tgi_queue_size 3",
    ] {
        assert_eq!(read(other), Page::default(), "{other}");
    }
}

#[test]
fn labels_are_no_obstacle() {
    for labels in [
        "",
        "{}",
        r#"{model_name="a}b"}"#,
        r#"{model_name="a} 7"}"#,
        r#"{model_name="a, b = \"c\""}"#,
        r#"{model_name="ü",}"#,
    ] {
        let line = format!("  vllm:num_requests_waiting{labels} 4.5 1700000000000");
        assert_eq!(read(&line).waiting, Some(4.5), "{line}");
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test of speed")]
fn a_page_of_sixty_kilobytes_is_read_in_far_less_than_ten_milliseconds() {
    // vLLM's own comments are half of what it sends.
    let mut full = VLLM.to_owned();
    while full.len() < 60_000 {
        full.push_str("# HELP vllm:something A line of words that tells what a family of this page is about.\n");
    }
    let mut best = std::time::Duration::MAX;
    for _ in 0..20 {
        let began = std::time::Instant::now();
        assert_eq!(read(&full).server, "vllm");
        best = best.min(began.elapsed());
    }
    assert!(best < std::time::Duration::from_millis(2), "{best:?}");
}

/// Pages of lines that are nearly right.
fn nearly_pages() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        Just("vllm:num_requests_running"),
        Just("vllm_kv_cache_usage_perc"),
        Just("sglang:token_usage"),
        Just("tgi_queue_size"),
        Just("vllm:"),
        Just("nv"),
    ];
    let rest = prop_oneof![
        ".{0,20}",
        r#"\{[a-z]{0,3}="?[^\n]{0,9}"?\}? -?[0-9.eE+-]{0,9}"#,
        r"[ \t]+[0-9]{1,400}",
    ];
    let line = (name, rest).prop_map(|(name, rest)| format!("{name}{rest}\n"));
    prop::collection::vec(line, 0..12).prop_map(|lines| lines.concat())
}

proptest! {
    #[test]
    fn any_text_is_read_without_harm(text in prop_oneof![".*", nearly_pages()]) {
        let page = read(&text);
        for figure in [page.running, page.waiting, page.cache].into_iter().flatten() {
            prop_assert!(!figure.is_nan());
        }
    }

    #[test]
    fn what_is_written_is_read(values in prop::collection::vec(0.0..1e12_f64, 1..5)) {
        let lines = values.iter().enumerate();
        let lines = lines.map(|(engine, value)| format!("vllm:num_requests_running{{engine=\"{engine}\"}} {value}"));
        let text = lines.collect::<Vec<_>>().join("\n");
        let sum: f64 = values.iter().sum();
        let read = read(&text).running.unwrap();
        prop_assert!((read - sum).abs() <= sum * 1e-12);
    }
}
