// Stops a run, pauses it, changes its load; what the program refuses is said with what to do about it.

import { tell, words } from "./api";
import { byId, clock, number, say } from "./dom";
import type { Standing } from "./types";

let run: Standing | undefined;
let isStopped = false;

const inputs = () => [byId<HTMLInputElement>("load-users"), byId<HTMLInputElement>("load-spawn"), byId<HTMLInputElement>("load-qps")] as const;

async function order(path: string, body: unknown, done: (answer: { words?: string; from_s?: number }) => string): Promise<void> {
  if (!run) return;
  say(byId("load-error"), "");
  try {
    say(byId("load-said"), done(await tell(`api/runs/${run.run}/${path}`, body)));
  } catch (error) {
    say(byId("load-error"), words(error));
  }
}

const coming = (answer: { words?: string; from_s?: number }) => `From ${clock(answer.from_s ?? 0)} on: ${answer.words}`;

export async function pause(): Promise<void> {
  await order("load", { paused: !run?.load.paused }, coming);
}

export async function stop(): Promise<void> {
  const abort = isStopped;
  isStopped = true;
  await order("stop", { abort }, () => abort ? "What is in flight is dropped." : "No new requests; those in flight are waited for.");
}

async function apply(event: Event): Promise<void> {
  event.preventDefault();
  const wish: Record<string, number> = {};
  for (const input of inputs()) {
    const value = input.value.trim();
    if (value === input.dataset.now || input.closest("label")?.hidden) continue;
    if (value === "" || !Number.isFinite(Number(value))) {
      say(byId("load-error"), `${value || "nothing"} is no number`);
      input.focus();
      return;
    }
    wish[input.name] = Number(value);
  }
  if (Object.keys(wish).length === 0) return say(byId("load-said"), "Nothing is other than now.");
  await order("load", wish, coming);
}

/** A spawn rate of so many users a second is none. */
const AT_ONCE = 1e9;

/** Shows a value unless somebody is typing another. */
function keep(input: HTMLInputElement, value: number | null): void {
  const now = value === null || value >= AT_ONCE ? "" : String(Number(value.toPrecision(6)));
  input.placeholder = value !== null && value >= AT_ONCE ? "all at once" : "";
  if (document.activeElement !== input || input.value === input.dataset.now) input.value = now;
  input.dataset.now = now;
}

export function show(standing: Standing, isLive: boolean): void {
  if (run?.run !== standing.run) {
    isStopped = false;
    say(byId("load-said"), "");
    say(byId("load-error"), "");
  }
  run = standing;
  byId("control").hidden = !isLive;
  if (!isLive) return;
  const [users, spawn, qps] = inputs();
  keep(users, standing.load.users);
  keep(spawn, standing.load.spawn_rate_per_s);
  keep(qps, standing.load.asked_per_s ?? standing.asked_per_s);
  byId("load-qps-label").hidden = !standing.can_change_rate;
  say(byId("pause"), standing.load.paused ? "Resume" : "Pause");
  isStopped ||= standing.stage === "stopping";
  say(byId("stop"), isStopped ? "Drop what is in flight" : "Stop");
  progress(standing);
}

function progress(standing: Standing): void {
  const bar = byId<HTMLProgressElement>("bar");
  const { now_s, left_s, max_requests, so_far } = standing;
  const shares: number[] = [];
  if (left_s !== null && now_s + left_s > 0) shares.push(now_s / (now_s + left_s));
  if (max_requests) shares.push(so_far.sent / max_requests);
  byId("progress").hidden = shares.length === 0;
  if (shares.length > 0) bar.value = Math.min(1, Math.max(...shares));
  const left = left_s === null ? "" : `${clock(left_s)} left`;
  say(byId("left"), max_requests ? `${number(so_far.sent)} of ${number(max_requests)} requests ${left}` : left);
}

export function listen(): void {
  byId("load").addEventListener("submit", (event) => void apply(event));
  byId("pause").addEventListener("click", () => void pause());
  byId("stop").addEventListener("click", () => void stop());
}
