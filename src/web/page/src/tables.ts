// Everything of a run that is read rather than seen: figures, tables, the verdict, the log, the files, earlier runs.

import { clock, make, number, redo } from "./dom";
import type { Brief, Standing } from "./types";

const isNumber = (text: string) => text !== "" && Number.isFinite(Number(text));

function table(label: string, columns: string[], rows: (string | Node)[][]): Node {
  const cell = (content: string | Node, at: number) => {
    const kind = typeof content === "string" && isNumber(content) ? { class: "number" } : {};
    return at === 0 && content !== "" ? make("th", { scope: "row", ...kind }, content) : make("td", kind, content);
  };
  const numeric = (at: number) => rows.length > 0 && rows.every((row) => typeof row[at] === "string" && isNumber(row[at] as string));
  const head = make("tr", {}, ...columns.map((name, at) => make("th", { scope: "col", ...(numeric(at) ? { class: "number" } : {}) }, name)));
  const body = rows.map((row) => make("tr", {}, ...row.map(cell)));
  return make("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": label },
    make("table", {}, make("thead", {}, head), make("tbody", {}, ...body)));
}

const nothing = (words: string) => [make("p", { class: "nothing" }, words)];

export function facts(where: HTMLElement, run: Standing): void {
  const is = run.stage === "running" || run.stage === "stopping";
  const rates = is ? run.lately : { ...run.so_far, failures_per_s: 0 };
  const asked = run.asked_per_s === null ? "" : `asked ${number(run.asked_per_s)}`;
  const at = (of: { p95: number | null; p50: number | null } | null) => [number(of?.p95), "ms", of ? `p50 ${number(of.p50)} ms` : ""] as const;
  const all: [string, string, string, string][] = [
    ["Requests", number(rates.requests_per_s), "/s", is ? asked : "whole run"],
    ["Output tokens", number(rates.output_tokens_per_s), "/s", ""],
    ["TTFT p95", ...at(rates.ttft_ms)],
    ["Latency p95", ...at(rates.latency_ms)],
    ["Failures", number(100 * run.so_far.fail_ratio), "%", `${number(run.so_far.failures)} of ${number(run.so_far.requests)}`],
    ["Users", number(run.users), "", `${number(run.in_flight)} in flight${run.waiting ? `, ${number(run.waiting)} waiting` : ""}`],
    ["Time", clock(run.now_s), "", run.left_s === null ? "" : `${clock(run.left_s)} left`],
    ["Figures", run.verdict?.level.toUpperCase() ?? "–", "", run.verdict ? "the generator's verdict" : "not judged yet"],
  ];
  redo(where, [all, run.verdict?.level], () => all.map(([name, value, unit, note]) => {
    const shown = make("dd", { class: "value" }, value, make("span", { class: "unit" }, unit ? ` ${unit}` : ""));
    if (name === "Figures" && run.verdict) shown.dataset.level = run.verdict.level;
    return make("div", {}, make("dt", {}, name), shown, make("dd", { class: "note" }, note));
  }));
}

export function statistics(where: HTMLElement, run: Standing): void {
  redo(where, run.statistics, () => [
    table("Statistics", run.statistics.columns, run.statistics.rows),
    make("p", { class: "remark" }, "Times are in milliseconds; rows of the type METRIC are no requests."),
  ]);
}

export function failures(where: HTMLElement, run: Standing): void {
  redo(where, [run.run, run.failures], () => run.failures.length === 0 ? nothing("Nothing has failed.") : [
    table("Failures", ["Occurrences", "Error", "Method", "Name", "First seen", "Last seen"],
      run.failures.map((one) => [String(one.occurrences), one.error, one.method, one.name, one.first_seen, one.last_seen])),
  ]);
}

export function workers(where: HTMLElement, run: Standing): void {
  const columns = ["Worker", "State", "Cores", "Users", "In flight", "Sent", "Finished", "Lost", "Heard of", "Clock"];
  const rows = run.workers.map((one) => [
    one.name, one.connected ? one.state : `${one.state}, not connected`, String(one.cores), String(one.users), String(one.in_flight),
    String(one.sent), String(one.finished), String(one.lost), `${number(one.silent_s)} s ago`,
    one.clock_offset_ms === null ? "the same" : `${number(one.clock_offset_ms)} ms`,
  ]);
  redo(where, rows, () => rows.length === 0 ? nothing("No worker has come yet.") : [table("Workers", columns, rows)]);
}

export function trust(where: HTMLElement, run: Standing): void {
  redo(where, [run.run, run.verdict, run.generator, run.changes], () => {
    const { verdict } = run;
    const tone = { ok: "good", strained: "warning", invalid: "bad" }[verdict?.level ?? ""] ?? "note";
    const level = verdict?.level.toUpperCase() ?? "Not judged yet";
    const said = verdict && verdict.reasons.length === 0 ? "The generator is not to be seen in the figures." : "";
    const notice = make("div", { class: `notice ${tone}`, role: "note" }, make("strong", {}, level), make("p", {}, said));
    const reasons = (verdict?.reasons ?? []).map((reason) =>
      make("li", { class: reason.level }, make("strong", {}, reason.words), make("p", {}, `Remedy: ${reason.remedy}`)));
    const lines = run.generator.map((line) => make("li", {}, line));
    const changes = run.changes.map((change) => make("li", {}, change.words));
    return [
      notice,
      ...(reasons.length > 0 ? [make("ul", { class: "reasons" }, ...reasons)] : []),
      make("h3", {}, "What the generator measured of itself"), make("ul", {}, ...lines),
      ...(changes.length > 0 ? [make("h3", {}, "Changes of the load"), make("ul", {}, ...changes)] : []),
    ];
  });
}

export function files(where: HTMLElement, run: Standing): void {
  redo(where, [run.run, run.files, run.command], () => {
    const path = (name: string) => `api/runs/${run.run}/files/${name}`;
    const items = run.files.map((file) => {
      const links: (Node | string)[] = [make("a", { href: path(file.name), download: "" }, file.what)];
      if (file.name === "report.html") links.push(" · ", make("a", { href: `${path(file.name)}?show`, target: "_blank", rel: "noopener" }, "open"));
      return make("li", {}, ...links, make("span", { class: "remark" }, ` ${file.name}`));
    });
    return [make("ul", { class: "files" }, ...items), make("h3", {}, "The same run again"), make("pre", { tabindex: "0", "aria-label": "Command line" }, run.command)];
  });
}

export function runs(where: HTMLElement, all: Brief[], shown: string | undefined): void {
  redo(where, [all, shown], () => {
    if (all.length === 0) return nothing("There has been no run yet.");
    const rows = all.map((one) => {
      const when = one.started_at ? new Date(one.started_at).toLocaleString() : "not begun";
      const link = make("a", { href: `#run=${one.run}`, ...(one.run === shown ? { "aria-current": "true" } : {}) }, when);
      const end = one.status === null ? one.stage : one.status === 0 ? "done" : `status ${one.status}`;
      return [link, one.model, one.load, clock(one.lasted_s), String(one.requests), String(one.failures), number(one.requests_per_s),
        number(one.ttft_p95_ms), number(one.latency_p95_ms), one.verdict?.toUpperCase() ?? "–", end];
    });
    return [table("Runs", ["Begun", "Model", "Load", "Lasted", "Requests", "Failures", "Requests/s", "TTFT p95 ms", "Latency p95 ms", "Figures", "End"], rows)];
  });
}

const MOST_LINES = 1_000;

export function log(where: HTMLElement, lines: string[]): void {
  if (lines.length === 0) return;
  let text = where.querySelector("pre");
  if (!text) {
    text = make("pre", { class: "log", tabindex: "0", role: "log", "aria-label": "Log", "aria-live": "off" });
    where.append(text);
  }
  const isAtEnd = text.scrollTop + text.clientHeight >= text.scrollHeight - 4;
  const all = [...(text.textContent ?? "").split("\n").filter(Boolean), ...lines].slice(-MOST_LINES);
  text.textContent = `${all.join("\n")}\n`;
  if (isAtEnd) text.scrollTop = text.scrollHeight;
}
