//! Names of plots, files of llmperf's kind that become pictures, and cases for another program to compute again.

use super::*;
use crate::domain::{Answer, Offset, Outcome};
use crate::llmperf::{Benchmark, Individual, file, summary};

#[test]
fn plots_are_called_as_their_file_and_stand_beside_it_or_where_they_are_wanted() {
    let file = Path::new("results/m_550_150_individual_responses.json");
    assert_eq!(stem(file, None), Path::new("results/m_550_150"));
    assert_eq!(
        stem(file, Some(Path::new("out"))),
        Path::new("out/m_550_150")
    );
    assert_eq!(stem(Path::new("other.json"), None), Path::new("other"));
}

#[test]
fn two_files_never_write_the_same_plots() {
    let args = PlotArgs {
        files: vec!["a/x.json".into(), "b/x.json".into()],
        output_dir: Some(tempfile::tempdir().unwrap().path().to_owned()),
        format: vec![Format::Png],
    };
    assert!(stems(&args).unwrap_err().to_string().contains("a/x.json"));
    let beside = PlotArgs {
        output_dir: None,
        ..args
    };
    assert_eq!(stems(&beside).unwrap().len(), 2);
}

#[test]
fn who_has_an_old_plot_open_goes_on_reading_it() {
    let folder = tempfile::tempdir().unwrap();
    let [old, kept] = ["m_ttft.svg", "kept"].map(|name| folder.path().join(name));
    fs::write(&old, "old").unwrap();
    fs::hard_link(&old, &kept).unwrap();
    let (_, figure) = plots("m", &responses(40)).swap_remove(0);
    let svg = chart::svg(&figure).unwrap();
    let written = write(&folder.path().join("m"), "_ttft.svg", svg.as_bytes()).unwrap();
    assert_eq!(written, old);
    assert!(fs::read_to_string(&old).unwrap().starts_with("<svg"));
    assert_eq!(fs::read_to_string(&kept).unwrap(), "old");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

fn ms(ms: u64) -> Offset {
    Offset::from_nanos(ms * 1_000_000)
}

/// Answers of which each eleventh failed, each seventh has no first token, and one has no tokens at all.
fn responses(n: u64) -> Vec<Individual> {
    let answer = |at: u64| {
        let has_failed = at % 11 == 5;
        Answer {
            sent: Some(ms(100)),
            first_content: (at % 7 != 3).then_some(ms(110 + at * at % 97)),
            last_content: Some(ms(390 + at * 7_919 % 3_001)),
            end: ms(400 + at * 7_919 % 3_001),
            outcome: if has_failed {
                Outcome::Http429
            } else {
                Outcome::Ok
            },
            code: (has_failed && at.is_multiple_of(2)).then_some(429),
            error: String::new(),
            requested_prompt_tokens: None,
            counted_prompt_tokens: Some(u32::try_from(41 + at * 17 % 613).unwrap()),
            server_prompt_tokens: None,
            max_tokens: 12,
            counted_output_tokens: Some(u32::try_from(at * 31 % 211).unwrap()),
            server_output_tokens: None,
            arrivals: Vec::new(),
            text: None,
        }
    };
    (0..n)
        .filter_map(|at| Individual::of(&answer(at)))
        .collect()
}

fn cases() -> [(&'static str, Vec<Individual>); 7] {
    let failed = |mut all: Vec<Individual>| {
        for one in &mut all {
            one.error_code = Some(-1);
        }
        all
    };
    let without_first_tokens = |mut all: Vec<Individual>| {
        for one in &mut all {
            one.ttft_s = None;
        }
        all
    };
    [
        ("none", Vec::new()),
        ("one", responses(1)),
        ("two", responses(2)),
        ("errors", responses(40)),
        ("all_failed", failed(responses(3))),
        ("no_ttft", without_first_tokens(responses(20))),
        ("big", responses(20_000)),
    ]
}

/// Where `LLMPERF_CASES` names a directory, the cases stay there: `tests/peers/llmperf.py` computes them again.
#[test]
fn each_case_of_responses_is_written_read_back_and_drawn() {
    let scratch = tempfile::tempdir().unwrap();
    let kept = std::env::var_os("LLMPERF_CASES").map(PathBuf::from);
    let place = kept.as_deref().unwrap_or(scratch.path());
    for (name, responses) in cases() {
        let bench = Benchmark {
            model: name.to_owned(),
            ..Benchmark::default()
        };
        let path = |end: &str| place.join(format!("{}_{end}.json", bench.stem()));
        let flat = summary(&bench, &responses, 12.5, 1_700_000_000);
        fs::write(path("summary"), file(&flat).unwrap()).unwrap();
        let individual = path("individual_responses");
        fs::write(&individual, file(&responses).unwrap()).unwrap();
        let read = individuals(&fs::read_to_string(&individual).unwrap()).unwrap();
        assert_eq!(read, responses, "{name}");
        if read.len() > 100 {
            continue;
        }
        let out = scratch.path().join("out");
        let args = [
            "plot".into(),
            individual.into_os_string(),
            "--output-dir".into(),
            out.clone().into(),
            "--format=png,svg,html".into(),
        ];
        let matches = command().get_matches_from(args);
        assert_eq!(plot(&matches).unwrap(), status::OK);
        assert!(
            out.join(format!("{}_e2e_latencies.png", bench.stem()))
                .exists()
        );
        assert!(
            out.join(format!("{}_inter_token_vs_throughput.svg", bench.stem()))
                .exists()
        );
        let page = out.join(format!("{}_report.html", bench.stem()));
        let page = fs::read_to_string(page).unwrap();
        assert!(page.contains("Token benchmark, over at 2023-11-14 22:13:20 UTC"));
        assert!(page.contains("Figures of good requests"), "{name}");
        assert_eq!(fs::read_dir(&out).unwrap().count() % 9, 0, "{name}");
    }
}

#[test]
fn a_page_needs_the_summary_beside_its_file_and_takes_llmperf_s_own() {
    let place = tempfile::tempdir().unwrap();
    let file_of = |end: &str| place.path().join(format!("x_{end}.json"));
    let individual = file_of("individual_responses");
    fs::write(&individual, file(&responses(9)).unwrap()).unwrap();
    let plotted = || {
        let args = [
            "plot".into(),
            individual.clone().into_os_string(),
            "--format=html".into(),
        ];
        plot(&command().get_matches_from(args))
    };
    let words = plotted().unwrap_err().to_string();
    assert!(words.contains("x_summary.json` is no summary"), "{words}");
    fs::write(
        file_of("summary"),
        r#"{"model": "m<1>", "results_number_input_tokens_min": "33", "results_ttft_s_stddev": NaN}"#,
    )
    .unwrap();
    assert_eq!(plotted().unwrap(), status::OK);
    let page = fs::read_to_string(place.path().join("x_report.html")).unwrap();
    assert!(
        page.contains("Figures of good requests") && page.contains("33"),
        "{page}"
    );
}
