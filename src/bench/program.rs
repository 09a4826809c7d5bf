//! `bench-self` from its options to its report; and its processes, which are this program with a hidden option.

use std::cell::RefCell;

use clap::ValueEnum;
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use serde_json::json;

use super::args::{BenchArgs, Measurement};
use super::control::Control;
use super::error::BenchError;
use super::figure::{self, Figure};
use super::lab::Lab;
use super::measure::{Bench, Scale};
use super::message::{Child, ClientSpec, Role, Said};
use super::meter;
use super::targets::Targets;
use super::{Report, bare, crowd, server, worker};

/// Pairs of a `--quick` run.
const QUICK_PAIRS: u32 = 2;

/// Measures what `args` ask for, and tells `progress` what is being done. `None` where this process was a part of a
/// measurement, which has said what it had to say.
///
/// # Errors
/// What cannot be measured, and why.
pub fn run(args: &BenchArgs, progress: &mut dyn FnMut(&str)) -> Result<Option<Report>, BenchError> {
    if let Some(child) = &args.child {
        be(&serde_json::from_str(child)?)?;
        return Ok(None);
    }
    if cfg!(debug_assertions) && !args.quick {
        return Err(BenchError::DebugBuild);
    }
    let lab = Lab {
        program: std::env::current_exe().map_err(BenchError::system("find this program"))?,
        cores: meter::cores().map_err(BenchError::system("tell the cores"))?,
        engine: args.engine,
        wrap: words(args.wrap.as_deref().unwrap_or_default()),
        pairs: if args.quick { QUICK_PAIRS } else { args.pairs },
        runs: RefCell::default(),
        breathless: RefCell::default(),
        held: RefCell::default(),
    };
    let figures = measure(&lab, args, progress)?;
    let judged = figures.iter().filter_map(|figure| figure.judged.as_ref());
    let breathless = *lab.breathless.borrow();
    if breathless > 0 {
        progress(&format!(
            "in {breathless} runs the server had no time to spare: what it sent late is in the figures of both"
        ));
    }
    Ok(Some(Report {
        table: figure::table(&figures),
        json: as_json(&lab, args, &figures)?,
        missed: judged.filter(|judged| !judged.is_met()).count(),
    }))
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn measure(
    lab: &Lab,
    args: &BenchArgs,
    progress: &mut dyn FnMut(&str),
) -> Result<Vec<Figure>, BenchError> {
    let bench = Bench {
        lab,
        scale: Scale {
            quick: args.quick,
            seconds: args.seconds,
            prompt_tokens: args.prompt_tokens,
        },
        targets: Targets::of(args.engine),
    };
    let mut wanted = args.measurements.clone();
    if wanted.is_empty() {
        wanted = Measurement::value_variants().to_vec();
    }
    if lab.cores.len() < 2 {
        progress("server and client share one core: the ratios are of little worth");
    }
    let mut figures = Vec::new();
    for measurement in wanted {
        if let Some(value) = measurement.to_possible_value() {
            progress(&format!("measuring {}", value.get_name()));
        }
        figures.extend(bench.measure(measurement)?);
    }
    Ok(figures)
}

fn as_json(lab: &Lab, args: &BenchArgs, figures: &[Figure]) -> Result<String, BenchError> {
    let all: Vec<_> = figures
        .iter()
        .map(|figure| {
            let judged = figure.judged.as_ref();
            json!({
                "measurement": figure.measurement,
                "case": figure.case,
                "quantity": figure.quantity,
                "bare": figure.bare,
                "worker": figure.worker,
                "bare_median": figure::median(&figure.bare),
                "worker_median": figure::median(&figure.worker),
                "judged": judged,
                "judged_median": judged.and_then(|judged| figure::median(&judged.values)),
                "met": judged.filter(|judged| judged.target.is_some()).map(figure::Judged::is_met),
            })
        })
        .collect();
    let value = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "engine": args.engine,
        "debug_build": cfg!(debug_assertions),
        "quick": args.quick,
        "pairs": lab.pairs,
        "seconds": args.seconds,
        "prompt_tokens": args.prompt_tokens,
        "cores": lab.cores.len(),
        "server_at_its_limit": *lab.breathless.borrow(),
        "figures": all,
        "runs": *lab.runs.borrow(),
        "clusters": *lab.held.borrow(),
    });
    Ok(serde_json::to_string_pretty(&value)? + "\n")
}

/// This process is a part of a measurement. What it cannot do it tells its parent, who says it.
fn be(child: &Child) -> Result<(), BenchError> {
    let ended = prepare().and_then(|()| match child {
        Child::Server(spec) => server::serve(spec),
        Child::Client(spec) => client(spec),
        Child::Crowd(spec) => crowd::run(spec),
    });
    match ended {
        Ok(()) => Ok(()),
        Err(error) => Said::Unable(format!("{:#}", anyhow::Error::new(error))).say(),
    }
}

/// It ends with its parent, and may have as many connections as the system allows.
fn prepare() -> Result<(), BenchError> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|error| BenchError::system("bind its life to its parent's")(error.into()))?;
    let limit = getrlimit(Resource::Nofile);
    let all = Rlimit {
        current: limit.maximum,
        ..limit
    };
    // Where that is refused, the limit stands: too many connections then say so themselves.
    let _ = setrlimit(Resource::Nofile, all);
    Ok(())
}

fn client(spec: &ClientSpec) -> Result<(), BenchError> {
    meter::pin(&spec.cores).map_err(BenchError::system("keep the client on its cores"))?;
    let control = Control::listen()?;
    let done = match spec.role {
        Role::Bare | Role::BareKernel => bare::run(spec, &control)?,
        Role::Worker(engine) => worker::run(spec, engine, &control)?,
    };
    Said::Done(done).say()
}
