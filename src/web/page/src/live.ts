// The live page: hears how the run stands, and shows it, or an earlier one that somebody asked for.

import { ask, follow, words } from "./api";
import { Charts } from "./charts";
import { byId, make, number, say } from "./dom";
import { build } from "./form";
import * as keys from "./keys";
import * as load from "./load";
import * as tables from "./tables";
import { Tabs } from "./tabs";
import type { Process, Row, Standing, State, Steps } from "./types";

const PARTS = [
  ["charts", "Charts"], ["statistics", "Statistics"], ["failures", "Failures"], ["workers", "Workers"],
  ["trust", "Trust"], ["log", "Log"], ["files", "Files"], ["runs", "Runs"],
] as const;

const tabs = new Tabs(byId("tabs"), () => charts?.draw());
const panels = Object.fromEntries(PARTS.map(([name, title]) => [name, tabs.add(name, title)])) as Record<(typeof PARTS)[number][0], HTMLElement>;
let charts: Charts | undefined;

/** The last run, as it came. */
let live: Standing | undefined;
let about: Process | undefined;
let steps: { run: string; columns: string[]; rows: Row[]; looks: Row[] } = { run: "", columns: [], rows: [], looks: [] };
/** The earlier run that is shown instead, once it is there. */
let past: { standing: Standing; steps: Steps } | undefined;

const wanted = () => new URLSearchParams(location.hash.slice(1)).get("run");
const isLive = () => about?.phase === "running" && about.run === live?.run && live?.stage !== "ended";

function take(state: State): void {
  about = state.process;
  if (state.run) live = state.run;
  if (state.steps && state.run) {
    const before = steps.run === state.run.run ? steps.rows.slice(0, state.steps.first) : [];
    steps = { run: state.run.run, columns: state.steps.columns, rows: [...before, ...state.steps.rows], looks: state.steps.looks };
  }
  tables.log(panels.log, state.log.lines);
  show();
}

function show(): void {
  if (!about) return;
  const run = past?.standing ?? live;
  phase(about);
  start(about);
  byId("run").hidden = !run;
  byId("past").hidden = !past;
  if (live) load.show(live, isLive());
  tables.runs(panels.runs, about.runs, run?.run);
  if (!run) return;
  say(byId("run-title"), title(run));
  say(byId("run-words"), `${run.model || "model"} at ${run.host} (${run.provider})`);
  const failed = byId("failed");
  failed.hidden = !run.failure;
  say(failed.querySelector("p")!, run.failure ?? "");
  tables.facts(byId("facts"), run);
  tables.statistics(panels.statistics, run);
  tables.failures(panels.failures, run);
  tables.workers(panels.workers, run);
  tables.trust(panels.trust, run);
  tables.files(panels.files, run);
  say(byId("tab-failures"), run.failures.length > 0 ? `Failures (${run.failures.length})` : "Failures");
  const drawn = past ? past.steps : steps;
  charts?.show(drawn.columns, drawn.rows, drawn.looks);
  document.title = `${number(run.lately.requests_per_s)}/s · ${run.stage} · llmload`;
}

function title(run: Standing): string {
  const when = run.started_at ? ` of ${new Date(run.started_at).toLocaleTimeString()}` : "";
  return run.stage === "ended" ? `Run${when}: over` : `Run${when}: ${run.load.paused ? "paused" : run.stage}`;
}

function phase(process: Process): void {
  const word = process.phase === "running" ? (isLive() ? live!.stage : "ending") : process.phase;
  const pill = byId("phase");
  if (pill.dataset.phase !== word) {
    pill.dataset.phase = word;
    say(pill, word);
    say(byId("said"), `The run is ${word}.`.replace("The run is idle", "No run goes on"));
  }
  say(byId("about"), `llmload ${process.version}, ${process.role === "master" ? "a master with workers" : "sending from this machine"}`);
  const problem = byId("problem");
  problem.hidden = !process.problem;
  say(problem.querySelector("strong")!, "The run did not start");
  say(problem.querySelector("p")!, process.problem ? [process.problem.error, process.problem.hint].filter(Boolean).join(": ") : "");
}

let wasIdle: boolean | undefined;
function start(process: Process): void {
  const isIdle = process.phase === "idle";
  const form = byId<HTMLDetailsElement>("start");
  if (isIdle !== wasIdle) {
    form.hidden = !isIdle;
    form.open = isIdle && process.runs.length === 0;
  }
  wasIdle = isIdle;
}

async function choose(): Promise<void> {
  const id = wanted();
  past = undefined;
  if (id && id !== live?.run) {
    try {
      const [standing, its] = await Promise.all([ask<Standing>(`api/runs/${id}`), ask<Steps>(`api/runs/${id}/steps`)]);
      if (wanted() === id) past = { standing, steps: its };
    } catch (error) {
      say(byId("said"), words(error));
    }
  }
  show();
  if (id) {
    tabs.choose("charts");
    byId("run-title").focus();
  }
}

function theme(): void {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const root = document.documentElement;
  const button = byId("theme");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const follow = () => {
    say(button.firstElementChild as HTMLElement, isDark() ? "Light theme" : "Dark theme");
    charts?.renew();
  };
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    follow();
  });
  system.addEventListener("change", follow);
  follow();
}

function begun(): void {
  location.hash = "";
  past = undefined;
  tabs.choose("charts");
  byId("run").hidden = false;
  byId("run-title").focus();
}

function fresh(): void {
  const form = byId<HTMLDetailsElement>("start");
  if (form.hidden) return;
  form.open = true;
  form.querySelector<HTMLElement>("input, select")?.focus();
}

charts = new Charts(panels.charts);
panels.log.append(make("p", { class: "remark" }, "The last lines of the program's log."));
tabs.choose("charts");
theme();
load.listen();
void build(begun).catch((error: unknown) => say(byId("form-error"), words(error)));
addEventListener("hashchange", () => void choose());
keys.listen({
  n: ["fill in the form of a new run", fresh],
  u: ["change the users", () => byId<HTMLInputElement>("load-users").select()],
  p: ["pause, or resume", () => isLive() && void load.pause()],
  s: ["stop; once more drops what is in flight", () => isLive() && void load.stop()],
  ...Object.fromEntries(PARTS.map(([, name], at) => [String(at + 1), [name, () => tabs.number(at + 1)] as [string, () => void]])),
});
follow(take, (there) => (byId("lost").hidden = there));
if (wanted()) void choose();
