// Lines across a chart, and words beside points of it, such that words do not stand on each other. It draws no series.

import type { LineSeriesOption, ScatterSeriesOption } from "echarts/types/dist/echarts";
import type { Look } from "./chart-look";
import type { Chart, Mark, Range } from "./chart-types";
import type { Values } from "./chart-values";

/** What a line of words takes, in pixels. */
const LINE = 15;
/** About as many pixels as the plot is high, and as the axes beside it are wide. */
const HEIGHT = 280;
const BESIDE = 90;

type Side = "insideEndTop" | "insideEndBottom";
interface Line {
  at: number;
  mark: Mark;
  isUpright: boolean;
}

/** Draws nothing but the marks; the pointer finds every place of any series on it. */
export function guideOf(chart: Chart, values: Values, look: Look, state: { range: Range; width: number }): LineSeriesOption {
  const lines = linesOf(chart, values);
  const upright = sides(lines.filter((line) => line.isUpright), state.range, Math.max(state.width - BESIDE, 100), true);
  const level = sides(lines.filter((line) => !line.isUpright), values.yExtents[0]!, HEIGHT, false);
  const data = lines.map((line) => {
    const side = upright.get(line) ?? level.get(line);
    const at: { xAxis: number } | { yAxis: number } = line.isUpright ? { xAxis: line.at } : { yAxis: line.at };
    return { ...at, name: line.mark.name, label: side ? { position: side } : { show: false } };
  });
  return {
    id: "guide",
    type: "line",
    silent: true,
    animation: false,
    showSymbol: false,
    lineStyle: { opacity: 0 },
    itemStyle: { opacity: 0 },
    data: values.places.map((place) => [place, values.yExtents[0]![0]]),
    z: 7,
    markLine: {
      silent: true,
      animation: false,
      symbol: "none",
      lineStyle: { color: look.text, type: [4, 4], width: 1, opacity: 0.7 },
      label: { formatter: (hit) => hit.name, color: look.text, fontSize: 11, textBorderColor: look.surface, textBorderWidth: 3, width: 200, overflow: "truncate" },
      data,
    },
  };
}

function linesOf(chart: Chart, values: Values): Line[] {
  return chart.marks.flatMap((mark): Line[] => {
    const x = typeof mark.x === "number" ? values.x.place(mark.x) : NaN;
    const y = typeof mark.y === "number" ? values.y[0]!.place(mark.y) : NaN;
    if (!Number.isNaN(x)) return [{ at: x, mark, isUpright: true }];
    return Number.isNaN(y) ? [] : [{ at: y, mark, isUpright: false }];
  });
}

/** On which side of each line its words have room; none has those that have it on neither. The first come first. */
function sides(lines: Line[], [from, to]: Range, pixels: number, isUpright: boolean): Map<Line, Side> {
  const taken: Range[] = [];
  const found = new Map<Line, Side>();
  for (const line of lines) {
    const at = ((line.at - from) / (to - from || 1)) * pixels;
    if (at < -1 || at > pixels + 1) continue;
    // Words that run upwards stand on the left of their line, words along a level one above it.
    const before: Range = isUpright ? [at - LINE, at] : [at, at + LINE];
    const behind: Range = isUpright ? [at, at + LINE] : [at - LINE, at];
    const isFree = (room: Range) =>
      room[0] > -2 && room[1] < pixels + 2 && taken.every((other) => room[1] <= other[0] + 1 || room[0] >= other[1] - 1);
    const side = isFree(before) ? "insideEndTop" : isFree(behind) ? "insideEndBottom" : null;
    if (!side) continue;
    taken.push(side === "insideEndTop" ? before : behind);
    found.set(line, side);
  }
  return found;
}

/** The values of series are rounded on their way. */
const isNear = (one: number, other: number) => Math.abs(one - other) <= 1e-6 * Math.max(Math.abs(one), Math.abs(other));

/** Words beside points, and rings around some of them; where words would stand on others they are left out. */
export function labelsOf(chart: Chart, values: Values, look: Look, hidden: Set<number>): ScatterSeriesOption[] {
  const isSeen = ([x, y]: [number, number]) =>
    chart.series.some((series, at) => !hidden.has(at) && series.points.some((point) => isNear(point[0], x) && isNear(point[1] ?? NaN, y)));
  const data = chart.marks.flatMap((mark) => {
    const at = mark.ring ?? mark.point;
    if (!at || !isSeen(at)) return [];
    const [x, y] = [values.x.place(at[0]), values.y[0]!.place(at[1])];
    if (Number.isNaN(x) || Number.isNaN(y)) return [];
    const ring = mark.ring ? { symbolSize: 18 } : { symbolSize: 9, itemStyle: { borderColor: "transparent" } };
    return [{ name: mark.name, value: [x, y], ...ring, label: { fontWeight: mark.ring ? ("bold" as const) : ("normal" as const) } }];
  });
  if (data.length === 0) return [];
  return [{
    id: "labels",
    type: "scatter",
    silent: true,
    animation: false,
    z: 8,
    symbol: "circle",
    itemStyle: { color: "transparent", borderColor: look.text, borderWidth: 2 },
    label: { show: true, position: "top", distance: 3, formatter: (hit) => hit.name, color: look.text, fontSize: 12, textBorderColor: look.surface, textBorderWidth: 3 },
    // Rings are told of before the rest.
    labelLayout: { hideOverlap: true },
    emphasis: { disabled: true },
    data: [...data].sort((one, other) => other.symbolSize - one.symbolSize),
  }];
}
