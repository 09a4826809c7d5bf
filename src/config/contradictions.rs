//! What the values of several options mean together and cannot: said before anything starts. Names alone are in `rules`.

use super::build::{Builder, Result};
use super::cli::TestArgs;
use super::error::Fault;
use super::source::Source;
use super::value::Dataset;
use crate::domain::SloFigure;
use crate::provider::{Kind, Task};
use crate::schedule::{Law, Pacing};

/// What a rule looks at.
pub(super) struct Wanted<'a> {
    pub(super) args: &'a TestArgs,
    pub(super) task: &'a Task,
    pub(super) pacing: &'a Pacing,
    /// Whether answers will be streamed.
    pub(super) stream: bool,
}

/// An option, and why it cannot be: what the error says behind its name, and the way out.
type Objection = (&'static str, &'static str, &'static str);

impl Builder<'_> {
    /// Refuses options that would be without effect.
    pub(super) fn refuse_contradictions(&self, wanted: &Wanted<'_>) -> Result<()> {
        let streamless = |slo: &crate::domain::Slo| slo.figure != SloFigure::Latency;
        if !wanted.stream && wanted.args.pacing.slo.iter().any(streamless) {
            let fault =
                Fault::new("without streaming there are no token times to set an objective for");
            return self.check("slo", Err(fault.hint("--slo latency<2s, or stream")));
        }
        let all = [
            self.in_the_task(wanted),
            self.in_the_pacing(wanted),
            self.in_the_data_set(wanted),
            self.in_the_provider(wanted),
        ];
        match all.into_iter().flatten().next() {
            Some((id, words, hint)) => {
                let option = id.replace('_', "-");
                let fault = Fault::new(format!("--{option} {words}"));
                self.check(id, Err(fault.hint(hint)))
            }
            None => Ok(()),
        }
    }

    /// The first of `objections` whose option stands on the command line. In a file, or the environment, one may stand ready.
    fn first(&self, objections: &[(bool, Objection)]) -> Option<Objection> {
        let said = |&&(holds, (id, ..)): &&(bool, Objection)| {
            holds && self.merged.source(id) == Source::CommandLine
        };
        objections
            .iter()
            .find(said)
            .map(|&(_, objection)| objection)
    }

    fn in_the_task(&self, wanted: &Wanted<'_>) -> Option<Objection> {
        let (args, stream) = (wanted.args, wanted.stream);
        let chat = *wanted.task == Task::Chat;
        self.first(&[
            (
                !chat && !args.dataset.prompt_images_with_resolutions.is_empty(),
                (
                    "prompt_images_with_resolutions",
                    "goes with chat alone",
                    "leave --no-chat, --embeddings and --rerank out",
                ),
            ),
            (
                args.output.first_visible_token && !(chat && stream),
                (
                    "first_visible_token",
                    "needs a streamed chat",
                    "leave --no-chat and --no-stream out",
                ),
            ),
            (
                args.pacing.cancel_rate > 0.0 && !stream,
                (
                    "cancel_rate",
                    "drops streams, and nothing is streamed",
                    "leave --no-stream, --embeddings and --rerank out",
                ),
            ),
        ])
    }

    fn in_the_pacing(&self, wanted: &Wanted<'_>) -> Option<Objection> {
        let args = &wanted.args.pacing;
        let open = *wanted.pacing != Pacing::Closed;
        self.first(&[
            (
                open && args.think_time.is_some(),
                (
                    "think_time",
                    "is for users that wait for their answers, not for a rate",
                    "leave it out, or --qps, --stages and --burst",
                ),
            ),
            (
                open && !args.start_spread.is_zero(),
                (
                    "start_spread",
                    "is for users that wait for their answers, not for a rate",
                    "leave it out, or --qps, --stages and --burst",
                ),
            ),
            (
                args.qps_distribution != Law::Gamma,
                (
                    "burstiness",
                    "is the shape of gamma gaps",
                    "--qps-distribution gamma",
                ),
            ),
        ])
    }

    fn in_the_data_set(&self, wanted: &Wanted<'_>) -> Option<Objection> {
        let args = wanted.args;
        let is_file = matches!(args.prompt.dataset, Dataset::File(_));
        let why = "is for a data set file, and there is none";
        let hint = "--dataset @FILE";
        let for_files = [
            "dataset_format",
            "dataset_column",
            "dataset_shuffle_seed",
            "dataset_limit",
            "prompt_letters",
            "trace_speed",
        ];
        let for_files = for_files.map(|id| (!is_file, (id, why, hint)));
        let made = "is for prompts that are made, and a data set file says what is asked";
        let made_up = [
            "prompt_tokens",
            "prompt_cache_max_len",
            "prefix_groups",
            "prompt",
        ];
        let hint = "leave it out, or --dataset NAME without @";
        let made_up = made_up.map(|id| (is_file, (id, made, hint)));
        let given = args.prompt.prompt_text.is_some();
        let no_talk = (
            "clear_assistant",
            "drops the last message of a conversation, and prompts that are made are none",
            "--dataset @FILE, or --prompt-text @FILE.jsonl",
        );
        self.first(&for_files)
            .or_else(|| self.first(&made_up))
            .or_else(|| self.first(&[(!is_file && !given, no_talk)]))
    }

    fn in_the_provider(&self, wanted: &Wanted<'_>) -> Option<Objection> {
        let Some(kind) = wanted.args.target.provider else {
            return self.in_clouds();
        };
        self.in_others_words(kind)
            .or_else(|| self.in_google(kind))
            .or_else(|| self.in_amazon(!kind.is_aws()))
    }

    /// No server is taken for one that stands in a region of a cloud's: its provider must be said.
    fn in_clouds(&self) -> Option<Objection> {
        let why = "is for what stands at Google Cloud, which no server is taken for by itself";
        let hint = "--provider gemini, vertex-predict or vertex-anthropic (or openai with --vertexai-endpoint-id)";
        let google = ["gcloud_project", "gcloud_region", "vertexai_endpoint_id"];
        self.first(&google.map(|id| (true, (id, why, hint))))
            .or_else(|| self.in_amazon(true))
    }

    fn in_amazon(&self, nowhere: bool) -> Option<Objection> {
        let why = "is for Amazon's services";
        let hint = "--provider sagemaker, bedrock or bedrock-invoke";
        self.first(&[(nowhere, ("aws_region", why, hint))])
    }

    fn in_google(&self, kind: Kind) -> Option<Objection> {
        let speaks_like_others = matches!(kind, Kind::OpenAi | Kind::Vllm);
        let at_an_endpoint = self.merged.is_given("vertexai_endpoint_id");
        let nowhere = !(kind.is_google() || speaks_like_others && at_an_endpoint);
        let why = "is for what stands at Google Cloud";
        let hint = "--provider gemini, vertex-predict or vertex-anthropic (or openai with --vertexai-endpoint-id)";
        self.first(
            &["gcloud_project", "gcloud_region", "vertexai_endpoint_id"]
                .map(|id| (nowhere, (id, why, hint))),
        )
    }

    fn in_others_words(&self, kind: Kind) -> Option<Objection> {
        let only = |kinds: &[Kind]| !kinds.contains(&kind);
        self.first(&[
            (
                only(&[Kind::Fireworks]),
                (
                    "force_min_tokens",
                    "is for Fireworks' servers",
                    "--provider fireworks",
                ),
            ),
            (
                only(&[Kind::Fireworks]),
                (
                    "forced_generation_file",
                    "is for Fireworks' servers",
                    "--provider fireworks",
                ),
            ),
            (
                only(&[Kind::Fireworks]),
                (
                    "forced_generation_from_dataset",
                    "is for Fireworks' servers",
                    "--provider fireworks",
                ),
            ),
            (
                only(&[Kind::Fireworks]),
                (
                    "acceptance_probs_override",
                    "is for Fireworks' servers",
                    "--provider fireworks",
                ),
            ),
            (
                only(&[Kind::Azure]),
                (
                    "azure_deployment",
                    "is for Azure's deployments",
                    "--provider azure",
                ),
            ),
            (
                only(&[Kind::Azure]),
                (
                    "azure_api_version",
                    "is for Azure's deployments",
                    "--provider azure",
                ),
            ),
            (
                only(&[Kind::Custom]),
                (
                    "provider_file",
                    "describes a custom provider",
                    "--provider custom",
                ),
            ),
        ])
    }
}
