// A chart's values as places, ready to draw, and what stands at a place. It knows no pixel.

import { scaleOf, type Scale } from "./chart-scale";
import type { Chart, Range, Series } from "./chart-types";

export interface Spot {
  x: number;
  y: number | null;
  from: number | null;
  to: number | null;
}

export interface Values {
  x: Scale;
  y: Scale[];
  /** Of each series, in order of x. */
  spots: Spot[][];
  /** Where any series has a value, each once. */
  places: number[];
  extent: Range;
  /** Of each axis from below. */
  yExtents: Range[];
}

export function valuesOf(chart: Chart): Values {
  const x = scaleOf(chart.x, chart.series.flatMap((series) => series.points.map((point) => point[0])));
  const y = chart.y.map((axis, at) => scaleOf(axis, chart.series.filter((series) => series.axis === at).flatMap((series) => series.points.map((point) => point[1] ?? NaN))));
  const spots = chart.series.map((series) => spotsOf(series, x, y[series.axis]!));
  const places = [...new Set(spots.flat().map((spot) => spot.x))].sort((one, other) => one - other);
  return { x, y, spots, places, extent: extentOf(chart, x, spots, places), yExtents: yExtentsOf(chart, y) };
}

const present = (value: number | null | undefined): value is number => typeof value === "number" && !Number.isNaN(value);
const orNull = (value: number) => (Number.isNaN(value) ? null : value);

function spotsOf(series: Series, x: Scale, y: Scale): Spot[] {
  const on = (value: number | null | undefined) => (present(value) ? orNull(y.place(value)) : null);
  return series.points
    .map(([at, value, from, to]) => ({ x: x.place(at), y: on(value), from: on(from), to: on(to) }))
    .filter((spot) => !Number.isNaN(spot.x));
}

function extentOf(chart: Chart, x: Scale, spots: Spot[][], places: number[]): Range {
  const ends = chart.series.map((series, at) => {
    const last = spots[at]!.at(-1);
    return last && isBar(series) && !x.names ? last.x + widthOf(spots[at]!, spots[at]!.length - 1) : last?.x;
  });
  const marks = chart.marks.map((mark) => (present(mark.x) ? x.place(mark.x) : NaN));
  const all = [places[0], ...ends, ...marks].filter(present);
  const [from, to] = x.extent(all.length ? [Math.min(...all), Math.max(...all)] : [0, 1]);
  // Points and error bars at an end keep some room, lines run to it.
  const isWide = (series: Series) => series.kind === "points" || series.points.length <= 24 && series.points.some((point) => point.length > 2);
  const room = !x.names && chart.series.some(isWide) ? (to - from) * 0.02 : 0;
  const range: Range = [
    present(chart.x.min) ? x.place(chart.x.min) : from - (from === 0 && x.isEven ? 0 : room),
    present(chart.x.max) ? x.place(chart.x.max) : to + room,
  ];
  return range[1] > range[0] || x.names ? range : [range[0], range[0] + 1];
}

/** From the lowest to the highest value of each axis, bars on bars and spreads with them. */
function yExtentsOf(chart: Chart, scales: Scale[]): Range[] {
  const bounds = scales.map((): Range => [Infinity, -Infinity]);
  const widen = (axis: number, value: number | null | undefined) => {
    const bound = bounds[axis]!;
    if (!present(value) || Number.isNaN(scales[axis]!.place(value))) return;
    bound[0] = Math.min(bound[0], value);
    bound[1] = Math.max(bound[1], value);
  };
  const totals = new Map<string, number>();
  for (const series of chart.series) {
    for (const [x, y, from, to] of series.points) {
      const key = `${series.axis} ${x}`;
      const below = series.kind === "stacked" ? (totals.get(key) ?? 0) : 0;
      if (isBar(series)) totals.set(key, below + (y ?? 0));
      for (const value of [y, from, to]) widen(series.axis, present(value) ? value + below : value);
    }
  }
  for (const mark of chart.marks) widen(0, mark.y);
  return bounds.map((bound, at) => {
    const scale = scales[at]!;
    const known = bound[0] <= bound[1] ? bound : ([scale.isEven ? 0 : 1, 1] as Range);
    const [from, to] = scale.extent([scale.place(known[0]), scale.place(known[1])]);
    const { min, max } = chart.y[at]!;
    return [present(min) ? scale.place(min) : from, present(max) ? scale.place(max) : to];
  });
}

export const isBar = (series: Series) => series.kind === "bars" || series.kind === "stacked";

/** To the next bar; the last is as wide as the one before it. */
export function widthOf(spots: Spot[], at: number): number {
  const next = spots[at + 1];
  const here = spots[at]!;
  if (next) return next.x - here.x;
  const before = spots[at - 1];
  return before ? here.x - before.x : 1;
}

/** What a series tells at a place: the value there, the nearest one, or for bars and steps the one that still holds. */
export function spotAt(series: Series, spots: Spot[], place: number, reach: number): Spot | null {
  const at = lastUpTo(spots, place);
  const before = spots[at];
  if (isBar(series) || series.kind === "steps") {
    const end = before && isBar(series) ? before.x + Math.max(widthOf(spots, at), reach) : Infinity;
    return before && place < end ? before : null;
  }
  const after = spots[at + 1];
  const nearest = !before || (after && after.x - place < place - before.x) ? after : before;
  return nearest && Math.abs(nearest.x - place) <= reach ? nearest : null;
}

function lastUpTo(spots: Spot[], place: number): number {
  let low = 0;
  let high = spots.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (spots[middle]!.x <= place + 1e-12) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
