// What the library draws for one series: a line, points, bars, and how far each value may be off.

import type { CustomSeriesOption, LineSeriesOption, ScatterSeriesOption } from "echarts/types/dist/echarts";
import { colorOf, type Look } from "./chart-look";
import { dashOf, symbolOf } from "./chart-symbols";
import { isBar, widthOf, type Spot, type Values } from "./chart-values";
import type { Chart, Range, Series } from "./chart-types";

export type Drawn = LineSeriesOption | ScatterSeriesOption | CustomSeriesOption;
type Render = NonNullable<CustomSeriesOption["renderItem"]>;
type Api = Parameters<Render>[1];

/** A line of more points has symbols at some of them. */
const SYMBOLS_AT_MOST = 40;
/** Pixels from one of those to the next. */
const SYMBOLS_EVERY = 90;
const ERROR_BARS_AT_MOST = 24;

/** The shapes of all series that are not hidden, in the order in which they are drawn. */
export function shapesOf(chart: Chart, values: Values, look: Look, hidden: Set<number>): Drawn[] {
  const bars = new Bars(chart, values, look, hidden);
  return chart.series.flatMap((series, at) => {
    const spots = values.spots[at]!;
    if (hidden.has(at) || spots.length === 0) return [];
    if (isBar(series)) return [bars.next(at), ...spread(at, spots, chart, values, look, bars.slotOf(at))];
    const shape = series.kind === "points" ? points(at, spots, series.axis, look) : line(at, spots, chart, look);
    return [...spread(at, spots, chart, values, look, null), shape, ...lone(at, spots, series.axis, series.kind, look)];
  });
}

const isLine = (series: Series) => series.kind === "line" || series.kind === "dashed" || series.kind === "steps";

/** Symbols along lines of many points, by which they are told apart; they depend on what is in sight. */
export function symbolsOf(chart: Chart, values: Values, look: Look, hidden: Set<number>, range: Range, width: number): ScatterSeriesOption[] {
  const step = ((range[1] - range[0]) * SYMBOLS_EVERY) / Math.max(width, SYMBOLS_EVERY);
  // A power of two: symbols stay where they are while it is moved to and fro, and zoomed a little.
  const even = 2 ** Math.round(Math.log2(step || 1));
  return chart.series.flatMap((series, at) => {
    const spots = values.spots[at]!;
    if (hidden.has(at) || !isLine(series) || spots.length <= SYMBOLS_AT_MOST) return [];
    // Those of one line stand between those of another.
    const shift = (even * at) / chart.series.length;
    const chosen = sparse(spots, even, shift, range);
    return [{ ...points(at, chosen, series.axis, look), id: `symbols_${at}`, z: 5, ...symbolOf(look, at), symbolSize: 8, large: false }];
  });
}

/** The spot that is next to each of the places at even distances. */
function sparse(spots: Spot[], step: number, shift: number, [from, to]: Range): Spot[] {
  const chosen = new Map<number, Spot>();
  for (const spot of spots) {
    if (spot.y === null || spot.x < from || spot.x > to) continue;
    const place = Math.round((spot.x - shift) / step);
    const off = (one: Spot) => Math.abs(one.x - shift - place * step);
    const known = chosen.get(place);
    if (!known || off(spot) < off(known)) chosen.set(place, spot);
  }
  return [...chosen.values()];
}

const common = (at: number, axis: number, z: number) => ({ id: `${z}_${at}`, yAxisIndex: axis, z, silent: true, animation: false });

function line(at: number, spots: Spot[], chart: Chart, look: Look): LineSeriesOption {
  const { kind, axis } = chart.series[at]!;
  return {
    ...common(at, axis, 4),
    type: "line",
    data: spots.map((spot) => [spot.x, spot.y]),
    step: kind === "steps" ? "end" : false,
    showSymbol: spots.length <= SYMBOLS_AT_MOST,
    showAllSymbol: true,
    ...symbolOf(look, at),
    symbolSize: 7,
    lineStyle: { color: colorOf(look, at), width: 2, type: dashOf(kind, at) ?? "solid" },
    emphasis: { disabled: true },
  };
}

/** A value between two gaps has no line: it is drawn as a point. */
function lone(at: number, spots: Spot[], axis: number, kind: string, look: Look): ScatterSeriesOption[] {
  if (kind === "points" || spots.length <= SYMBOLS_AT_MOST) return [];
  const isGap = (spot: Spot | undefined) => !spot || spot.y === null;
  const alone = spots.filter((spot, place) => spot.y !== null && isGap(spots[place - 1]) && isGap(spots[place + 1]));
  return alone.length ? [{ ...points(at, alone, axis, look), id: `lone_${at}` }] : [];
}

function points(at: number, spots: Spot[], axis: number, look: Look): ScatterSeriesOption {
  const isMany = spots.length > 500;
  return {
    ...common(at, axis, 5),
    type: "scatter",
    data: spots.map((spot) => [spot.x, spot.y ?? "-"]),
    ...symbolOf(look, at, isMany ? 0.45 : 0.85),
    symbolSize: isMany ? 4 : 8,
    large: spots.length > 3000,
    progressive: 0,
    emphasis: { disabled: true },
  };
}

interface Slot {
  /** From 0 to 1 across the bar's whole place. */
  from: number;
  width: number;
}

/** Bars side by side where the axis has names, one over the other where it has numbers; stacked ones on those before. */
class Bars {
  private readonly stacks: number[] = [];
  private readonly totals = new Map<string, number>();

  constructor(private chart: Chart, private values: Values, private look: Look, hidden: Set<number>) {
    let stack = -1;
    chart.series.forEach((series, at) => {
      if (isBar(series) && !hidden.has(at) && (series.kind === "bars" || stack < 0)) stack += 1;
      this.stacks[at] = stack;
    });
  }

  slotOf(at: number): Slot {
    if (!this.values.x.names) return { from: 0, width: 1 };
    const count = Math.max(...this.stacks) + 1;
    const width = Math.min(0.8 / count, 0.4);
    return { from: 0.5 - (width * count) / 2 + this.stacks[at]! * width, width: width * 0.92 };
  }

  next(at: number): CustomSeriesOption {
    const series = this.chart.series[at]!;
    const scale = this.values.y[series.axis]!;
    const floor = this.values.yExtents[series.axis]![0];
    const bottom = Math.max(orElse(scale.place(0), floor), scale.isEven ? -Infinity : floor);
    const spots = this.values.spots[at]!;
    const raw = new Map(series.points.map((point) => [this.values.x.place(point[0]), point[1] ?? 0]));
    const data = spots.map((spot, place) => {
      const key = `${this.stacks[at]} ${spot.x}`;
      const below = this.totals.get(key) ?? 0;
      const total = below + (raw.get(spot.x) ?? 0);
      this.totals.set(key, total);
      return [spot.x, orElse(scale.place(below), bottom), orElse(scale.place(total), bottom), widthOf(spots, place)];
    });
    const seeThrough = !this.values.x.names && new Set(this.stacks.filter((stack) => stack >= 0)).size > 1;
    const style = { fill: colorOf(this.look, at), opacity: seeThrough ? 0.55 : 0.9 };
    return {
      ...common(at, series.axis, 3),
      type: "custom",
      clip: true,
      encode: { x: 0, y: [1, 2] },
      data,
      renderItem: (_, api) => bar(api, this.slotOf(at), this.values.x.names !== null, style),
    };
  }
}

const orElse = (value: number, otherwise: number) => (Number.isFinite(value) ? value : otherwise);

function bar(api: Api, slot: Slot, hasNames: boolean, style: object) {
  const [x, base, top, width] = [0, 1, 2, 3].map((dimension) => api.value(dimension) as number) as [number, number, number, number];
  const [left, bottom] = api.coord([x, base]) as [number, number];
  const end = api.coord([hasNames ? x : x + width, top]) as [number, number];
  const room = hasNames ? (api.size!([1, 0]) as number[])[0]! : end[0] - left;
  const start = hasNames ? left - room / 2 + slot.from * room : left;
  const wide = Math.max(hasNames ? slot.width * room : room - (room > 4 ? 1 : 0), 1);
  return { type: "rect" as const, shape: { x: start, y: Math.min(bottom, end[1]), width: wide, height: Math.abs(bottom - end[1]) }, style };
}

/** A band along a line with many points, error bars elsewhere. */
function spread(at: number, spots: Spot[], chart: Chart, values: Values, look: Look, slot: Slot | null): CustomSeriesOption[] {
  const known = spots.filter((spot) => spot.from !== null && spot.to !== null);
  if (known.length === 0) return [];
  const series = chart.series[at]!;
  const isBand = !slot && series.kind !== "points" && !values.x.names && known.length > ERROR_BARS_AT_MOST;
  const color = colorOf(look, at);
  const centre = (place: number, api: Api) => {
    if (!slot) return 0;
    const room = values.x.names ? (api.size!([1, 0]) as number[])[0]! : 0;
    const bar = values.x.names ? 0 : (api.coord([known[place]!.x + widthOf(known, place), 0])[0]! - api.coord([known[place]!.x, 0])[0]!) / 2;
    return room * (slot.from + slot.width / 2 - 0.5) + bar;
  };
  return [{
    ...common(at, series.axis, isBand ? 2 : 6),
    id: `spread_${at}`,
    type: "custom",
    clip: true,
    encode: { x: 0, y: [1, 2] },
    data: known.map((spot) => [spot.x, spot.from!, spot.to!]),
    renderItem: isBand ? bandOf(spots, series.kind === "steps", color) : (params, api) => errorBar(api, color, slot ? look.text : color, centre(params.dataIndex, api)),
  }];
}

function errorBar(api: Api, fill: string, stroke: string, shift: number) {
  const [x, from] = api.coord([api.value(0), api.value(1)]) as [number, number];
  const to = api.coord([api.value(0), api.value(2)])[1]!;
  const middle = x + shift;
  const stretch = (x1: number, y1: number, x2: number, y2: number) => ({
    type: "line" as const,
    shape: { x1, y1, x2, y2 },
    style: { stroke, lineWidth: 1.5, fill },
  });
  const cap = 4;
  return {
    type: "group" as const,
    children: [
      stretch(middle, from, middle, to),
      stretch(middle - cap, from, middle + cap, from),
      stretch(middle - cap, to, middle + cap, to),
    ],
  };
}

/** One polygon for each stretch without a gap, all of them with the first value. */
function bandOf(spots: Spot[], isSteps: boolean, fill: string): Render {
  return (params, api) => {
    const context = params.context as { isDrawn?: boolean };
    if (context.isDrawn) return null;
    context.isDrawn = true;
    return {
      type: "group",
      children: stretches(spots).map((stretch) => ({
        type: "polygon" as const,
        shape: { points: outline(stretch, isSteps).map((place) => api.coord(place) as [number, number]) },
        style: { fill, opacity: 0.18 },
      })),
    };
  };
}

function stretches(spots: Spot[]): Spot[][] {
  const all: Spot[][] = [[]];
  for (const spot of spots) {
    if (spot.from === null || spot.to === null) all.push([]);
    else all.at(-1)!.push(spot);
  }
  return all.filter((stretch) => stretch.length > 0);
}

function outline(stretch: Spot[], isSteps: boolean): [number, number][] {
  const edge = (value: (spot: Spot) => number): [number, number][] =>
    stretch.flatMap((spot, at): [number, number][] => {
      const before = stretch[at - 1];
      const here: [number, number] = [spot.x, value(spot)];
      return isSteps && before ? [[spot.x, value(before)], here] : [here];
    });
  return [...edge((spot) => spot.from!), ...edge((spot) => spot.to!).reverse()];
}
