// A chart that can be hovered, zoomed and walked through with keys. It needs a place in a document and a description,
// and nothing else of the page around it.

import { CustomChart, LineChart, ScatterChart } from "echarts/charts";
import { DataZoomInsideComponent, GridComponent, MarkLineComponent, ToolboxComponent, TooltipComponent } from "echarts/components";
import { init, use, type ECharts } from "echarts/core";
import { LabelLayout } from "echarts/features";
import { CanvasRenderer } from "echarts/renderers";
import { controlsOf, type Controls } from "./chart-controls";
import { walk } from "./chart-keys";
import { lookOf, type Look } from "./chart-look";
import { movingOf, optionOf, xTicks, type State } from "./chart-option";
import { tipOf, words } from "./chart-tip";
import type { Chart, Range } from "./chart-types";
import { valuesOf, type Values } from "./chart-values";

use([CanvasRenderer, LineChart, ScatterChart, CustomChart, GridComponent, TooltipComponent, DataZoomInsideComponent, MarkLineComponent, ToolboxComponent, LabelLayout]);

export interface Names {
  /** Ids of what names it and what says what is to be seen. */
  labelledBy: string;
  describedBy: string;
}

interface ZoomEvent {
  batch?: ZoomEvent[];
  start?: number;
  end?: number;
  startValue?: number;
  endValue?: number;
}

const groups = new Map<string, Set<View>>();

export class View {
  readonly hidden = new Set<number>();
  values: Values;
  range: Range;
  /** The place that the keys have come to. */
  cursor: number | null = null;
  private look: Look;
  private readonly drawing: ECharts;
  private readonly controls: Controls;
  private readonly plot: HTMLElement;
  private readonly isTouch = matchMedia("(pointer: coarse)").matches;
  private readonly watch: ResizeObserver;

  constructor(readonly stage: HTMLElement, public chart: Chart, names: Names) {
    stage.hidden = false;
    this.values = valuesOf(chart);
    this.range = this.values.extent;
    this.look = lookOf(stage);
    this.controls = controlsOf(this, names);
    this.plot = this.controls.plot;
    this.drawing = init(this.plot, null, { renderer: "canvas", width: this.plot.clientWidth || 300, height: this.plot.clientHeight || 300 });
    this.drawing.on("datazoom", (event) => this.zoomed(event as ZoomEvent));
    this.drawing.getZr().on("dblclick", () => this.show(this.whole));
    walk(this, this.plot);
    this.watch = new ResizeObserver(() => this.fit());
    this.watch.observe(this.plot);
    if (chart.group) groups.set(chart.group, (groups.get(chart.group) ?? new Set<View>()).add(this));
    const other = [...(groups.get(chart.group) ?? [])].find((view) => view !== this);
    if (other) this.range = this.within(other.range);
    this.draw();
  }

  /** All there is from left to right. */
  get whole(): Range {
    return this.values.x.names ? [0, this.values.x.names.length - 1] : this.values.extent;
  }

  get isWhole(): boolean {
    return this.range[0] <= this.whole[0] && this.range[1] >= this.whole[1];
  }

  /** New values, as long as it is looked at; what was zoomed to stays. */
  update(chart: Chart): void {
    const { isWhole } = this;
    this.chart = chart;
    this.values = valuesOf(chart);
    this.range = isWhole ? this.whole : this.within(this.range);
    this.draw();
  }

  /** Once more in the colours of now. */
  draw(): void {
    this.look = lookOf(this.stage);
    this.drawing.setOption(optionOf(this.chart, this.values, this.look, this.state, (place) => this.tip(place)), { notMerge: true });
    if (!this.isTouch) {
      this.drawing.dispatchAction({ type: "takeGlobalCursor", key: "dataZoomSelect", dataZoomSelectActive: true });
    }
    this.controls.refresh(this.look);
  }

  toggle(at: number): void {
    if (!this.hidden.delete(at)) this.hidden.add(at);
    this.draw();
  }

  /** From here to there, on all charts of its group. */
  show(range: Range): void {
    this.place(range);
    this.share();
  }

  /** Less or more of it, around the cursor or the middle. */
  zoom(factor: number): void {
    const [from, to] = this.range;
    const middle = this.cursor !== null && this.cursor >= from && this.cursor <= to ? this.cursor : (from + to) / 2;
    this.show([middle - (middle - from) * factor, middle + (to - middle) * factor]);
  }

  /** Puts the cursor at a place, brings it into sight, and says what is there. */
  point(place: number): void {
    this.cursor = place;
    const [from, to] = this.range;
    if (place < from) this.show([place, place + to - from]);
    if (place > to) this.show([place - to + from, place]);
    const [left, x, right] = [this.range[0], place, this.range[1]].map((at) => this.drawing.convertToPixel({ xAxisIndex: 0 }, at));
    // A pixel inside: what lies a rounding beyond an end of the axis has no tooltip.
    this.drawing.dispatchAction({ type: "showTip", x: Math.min(Math.max(x!, left! + 1), right! - 1), y: this.plot.clientHeight / 3 });
    this.controls.say(words(this.chart, this.values, place, this.hidden, this.range));
  }

  leave(): void {
    this.cursor = null;
    this.drawing.dispatchAction({ type: "hideTip" });
    this.drawing.dispatchAction({ type: "updateAxisPointer", currTrigger: "leave" });
  }

  dispose(): void {
    this.watch.disconnect();
    groups.get(this.chart.group)?.delete(this);
    this.drawing.dispose();
  }

  private get state(): State {
    return { hidden: this.hidden, range: this.range, width: this.plot.clientWidth, isTouch: this.isTouch };
  }

  private tip(place: number): HTMLElement {
    return tipOf(this.chart, this.values, this.look, this.cursor ?? place, this.hidden, this.range);
  }

  private fit(): void {
    if (this.plot.clientWidth === 0) return;
    this.drawing.resize({ width: this.plot.clientWidth, height: this.plot.clientHeight });
    this.draw();
  }

  private within([from, to]: Range): Range {
    const [first, last] = this.whole;
    // A sum or a share of places ends a rounding away from the end, which would not be all of it any more.
    if (to - from >= (last - first) * (1 - 1e-9)) return [first, last];
    const least = this.values.x.names ? 0 : (last - first) / 1000;
    const span = Math.min(Math.max(to - from, least), last - first);
    const start = Math.min(Math.max(from, first), last - span);
    return this.values.x.names ? [Math.round(start), Math.round(start + span)] : [start, start + span];
  }

  private place(range: Range): void {
    const [startValue, endValue] = this.within(range);
    this.range = [startValue, endValue];
    this.drawing.dispatchAction({ type: "dataZoom", dataZoomIndex: 0, startValue, endValue }, { silent: true });
    this.marked();
  }

  private zoomed(event: ZoomEvent): void {
    const { start = 0, end = 100, startValue, endValue } = event.batch?.[0] ?? event;
    const [first, last] = this.whole;
    const at = (share: number) => first + ((last - first) * share) / 100;
    this.range = this.within(startValue !== undefined && endValue !== undefined ? [startValue, endValue] : [at(start), at(end)]);
    this.marked();
    this.share();
  }

  private marked(): void {
    const series = movingOf(this.chart, this.values, this.look, this.state);
    this.drawing.setOption({ xAxis: xTicks(this.values, this.range, this.plot.clientWidth), series }, { lazyUpdate: true });
    this.controls.refresh(this.look);
  }

  private share(): void {
    for (const view of groups.get(this.chart.group) ?? []) {
      if (view !== this) view.place(this.range);
    }
  }
}

/** Charts of one group get one horizontal axis, however far the values of each go. */
export function alignGroups(charts: Chart[]): void {
  const extents = new Map<string, Range>();
  const isJoined = (chart: Chart) => chart.group !== "" && typeof chart.x.scale !== "object";
  for (const chart of charts.filter(isJoined)) {
    const xs = chart.series.flatMap((series) => series.points.map((point) => point[0]));
    const { group, x } = chart;
    const known = extents.get(group) ?? [Infinity, -Infinity];
    const lowest = xs.reduce((low, value) => Math.min(low, value), x.min ?? known[0]);
    const highest = xs.reduce((high, value) => Math.max(high, value), x.max ?? known[1]);
    extents.set(group, [Math.min(known[0], lowest), Math.max(known[1], highest)]);
  }
  for (const chart of charts.filter(isJoined)) {
    const [lowest, highest] = extents.get(chart.group)!;
    if (lowest >= highest) continue;
    if (chart.x.scale === "linear") chart.x.min = Math.min(lowest, 0);
    if (chart.x.scale === "log" && lowest > 0) chart.x.min = lowest;
    if (chart.x.scale !== "percentile" || highest < 1) chart.x.max = highest;
  }
}
