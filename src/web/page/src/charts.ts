// Charts of a run over its time. Nothing is drawn while nobody looks; arrow keys move along a chart as a pointer does.

import uPlot from "uplot";
import { clock, make, number, say } from "./dom";
import type { Row } from "./types";

interface Line { name: string; column: string; dash?: boolean; colour: number }
interface Kind { id: string; title: string; unit: string; lines: Line[]; looks?: boolean }

const percentiles = (metric: string): Line[] => [
  { name: "p50", column: `${metric}_p50_ms`, colour: 1 },
  { name: "p95", column: `${metric}_p95_ms`, colour: 2 },
  { name: "p99", column: `${metric}_p99_ms`, colour: 4 },
];

const KINDS: Kind[] = [
  { id: "rate", title: "Requests", unit: "1/s", lines: [
    { name: "asked", column: "asked_per_s", dash: true, colour: 5 },
    { name: "finished", column: "requests_per_s", colour: 1 },
    { name: "failed", column: "failures_per_s", colour: 8 }] },
  { id: "users", title: "Users and requests", unit: "", lines: [
    { name: "users", column: "users", colour: 1 },
    { name: "in flight", column: "in_flight", colour: 2 },
    { name: "waiting", column: "waiting", colour: 8 }] },
  { id: "ttft", title: "Time to first token", unit: "ms", lines: percentiles("ttft") },
  { id: "latency", title: "Total latency", unit: "ms", lines: percentiles("latency") },
  { id: "tokens", title: "Output tokens", unit: "1/s", lines: [{ name: "tokens/s", column: "output_tokens_per_s", colour: 3 }] },
  { id: "tpot", title: "Time per output token", unit: "ms", lines: percentiles("tpot").slice(0, 2) },
  { id: "delay", title: "The generator's send delay", unit: "ms", lines: [{ name: "p99", column: "send_delay_p99_ms", colour: 7 }] },
  { id: "server", title: "The server's own gauges", unit: "requests", looks: true, lines: [
    { name: "running", column: "running", colour: 1 },
    { name: "waiting", column: "waiting", colour: 8 }] },
];
const LOOK_COLUMNS = ["to_s", "running", "waiting", "cache"];

const HEIGHT = 220;

class Plot {
  readonly figure: HTMLElement;
  private readonly stage = make("div", { class: "stage", tabindex: "0", role: "group" });
  private readonly legend = make("dl", { class: "legend" });
  private readonly at = make("span", { class: "at" });
  private readonly values: HTMLElement[] = [];
  private plot: uPlot | undefined;
  private data: uPlot.AlignedData = [[]];

  constructor(private readonly kind: Kind) {
    const title = make("h3", { id: `chart-${kind.id}` }, kind.unit ? `${kind.title} (${kind.unit})` : kind.title);
    this.stage.setAttribute("aria-label", `Chart: ${kind.title}. Left and right arrow keys move along it.`);
    for (const line of kind.lines) {
      const value = make("dd", {}, "–");
      this.values.push(value);
      this.legend.append(make("div", { "data-colour": String(line.colour), ...(line.dash ? { class: "dashed" } : {}) }, make("dt", {}, line.name), value));
    }
    this.figure = make("figure", { class: "chart card", "aria-labelledby": title.id, "data-chart": kind.id },
      make("figcaption", { class: "bar" }, title, this.at), this.stage, this.legend);
    this.stage.addEventListener("keydown", (event) => this.move(event));
    this.stage.addEventListener("blur", () => this.plot?.setCursor({ left: -10, top: -10 }));
  }

  get isAboutServer(): boolean {
    return this.kind.looks === true;
  }

  get isHidden(): boolean {
    return this.figure.hasAttribute("hidden");
  }

  set isHidden(is: boolean) {
    this.figure.toggleAttribute("hidden", is);
  }

  fill(columns: string[], rows: Row[]): void {
    const column = (name: string) => {
      const at = columns.indexOf(name);
      return rows.map((row) => row[at] ?? null);
    };
    this.data = [column("to_s") as number[], ...this.kind.lines.map((line) => column(line.column))];
    this.figure.dataset.points = String(rows.length);
  }

  draw(): void {
    const width = Math.floor(this.stage.clientWidth);
    if (width === 0) return;
    if (!this.plot) this.plot = new uPlot(this.options(width), this.data, this.stage);
    else this.plot.setData(this.data);
    if (this.plot.width !== width) this.plot.setSize({ width, height: HEIGHT });
    this.read();
  }

  /** The colours are other ones, or the place is. */
  renew(): void {
    this.plot?.destroy();
    this.plot = undefined;
  }

  private options(width: number): uPlot.Options {
    const style = getComputedStyle(document.documentElement);
    const probe = make("span");
    document.body.append(probe);
    const colour = (name: string) => {
      probe.style.color = style.getPropertyValue(name);
      return getComputedStyle(probe).color;
    };
    const axis = { stroke: colour("--muted"), grid: { stroke: colour("--rule"), width: 1 }, ticks: { stroke: colour("--rule"), width: 1 }, font: "12px system-ui, sans-serif" };
    const options: uPlot.Options = {
      width,
      height: HEIGHT,
      legend: { show: false },
      cursor: { drag: { x: true, y: false }, sync: { key: "run" }, points: { size: 7 } },
      scales: { x: { time: false }, y: { range: (_, least, most) => uPlot.rangeNum(Math.min(0, least ?? 0), most || 1, 0.1, true) } },
      axes: [
        { ...axis, values: (_, splits) => splits.map(clock) },
        { ...axis, size: 56, values: (_, splits) => splits.map((value) => number(value)) },
      ],
      series: [{}, ...this.kind.lines.map((line) => ({
        label: line.name,
        stroke: colour(`--series-${line.colour}`),
        width: 2,
        spanGaps: true,
        points: { show: false },
        ...(line.dash ? { dash: [6, 4] } : {}),
      }))],
      hooks: { setCursor: [() => this.read()] },
    };
    probe.remove();
    return options;
  }

  /** The values at the cursor, or the last ones. */
  private read(): void {
    const length = this.data[0].length;
    const at = this.plot?.cursor.idx ?? length - 1;
    say(this.at, length === 0 ? "" : clock(this.data[0][at] ?? 0));
    this.values.forEach((value, line) => say(value, number(this.data[line + 1]?.[at])));
  }

  private move(event: KeyboardEvent): void {
    const plot = this.plot;
    const last = this.data[0].length - 1;
    if (!plot || last < 0) return;
    const here = plot.cursor.idx ?? last;
    const to = { ArrowLeft: here - 1, ArrowRight: here + 1, Home: 0, End: last }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const at = this.data[0][Math.max(0, Math.min(last, to))] ?? 0;
    plot.setCursor({ left: plot.valToPos(at, "x"), top: HEIGHT / 3 });
  }
}

export class Charts {
  private readonly plots = KINDS.map((kind) => new Plot(kind));
  private isStale = false;

  constructor(private readonly where: HTMLElement) {
    where.append(make("div", { class: "charts" }, ...this.plots.map((plot) => plot.figure)));
    new ResizeObserver(() => this.draw()).observe(where);
    document.addEventListener("visibilitychange", () => this.isStale && this.draw());
  }

  show(columns: string[], rows: Row[], looks: Row[]): void {
    for (const plot of this.plots) {
      if (plot.isAboutServer) plot.fill(LOOK_COLUMNS, looks);
      else plot.fill(columns, rows);
      plot.isHidden = plot.isAboutServer && looks.length === 0;
    }
    this.draw();
  }

  draw(): void {
    this.isStale = document.hidden || this.where.hasAttribute("hidden");
    if (!this.isStale) for (const plot of this.plots) if (!plot.isHidden) plot.draw();
  }

  renew(): void {
    for (const plot of this.plots) plot.renew();
    this.draw();
  }
}
