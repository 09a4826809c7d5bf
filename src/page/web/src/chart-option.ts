// A chart as the library is told it: axes, marks, zoom. Its shapes are made in chart-series.

import type { EChartsOption, XAXisOption, YAXisOption } from "echarts/types/dist/shared";
import { named } from "./chart-format";
import { colorOf, type Look } from "./chart-look";
import { guideOf, labelsOf } from "./chart-marks";
import { shapesOf, symbolsOf } from "./chart-series";
import type { Axis, Chart, Range } from "./chart-types";
import type { Values } from "./chart-values";

export interface State {
  hidden: Set<number>;
  range: Range;
  width: number;
  isTouch: boolean;
}

export type Tip = (place: number) => HTMLElement;

export function optionOf(chart: Chart, values: Values, look: Look, state: State, tip: Tip): EChartsOption {
  return {
    animation: false,
    textStyle: { fontFamily: look.font, fontSize: 12, color: look.text },
    grid: { left: 6, right: 14, top: 14, bottom: 6, outerBoundsMode: "same", outerBoundsContain: "all" },
    xAxis: xAxis(chart, values, look, state) as EChartsOption["xAxis"],
    yAxis: chart.y.map((_, at) => yAxis(chart, values, look, at, state.width)) as EChartsOption["yAxis"],
    series: [...shapesOf(chart, values, look, state.hidden), ...movingOf(chart, values, look, state)] as EChartsOption["series"],
    dataZoom: zoom(values, state),
    // Its one use is the rectangle that is drawn to zoom; the buttons for it are the page's own.
    toolbox: {
      itemSize: 0,
      right: -50,
      feature: { dataZoom: { yAxisIndex: "none", filterMode: "none", brushStyle: { color: look.accent, opacity: 0.18 } } },
    },
    tooltip: {
      trigger: "axis",
      confine: true,
      transitionDuration: 0,
      className: "chart-tip",
      padding: 0,
      borderWidth: 0,
      backgroundColor: "transparent",
      extraCssText: "box-shadow:none",
      axisPointer: { type: "line", animation: false, lineStyle: { color: look.muted, type: "solid" } },
      formatter: (hits) => {
        const first = (Array.isArray(hits) ? hits[0] : hits) as { axisValue?: number | string; dataIndex?: number } | undefined;
        const place = values.x.names ? first?.dataIndex : Number(first?.axisValue);
        return tip(place ?? 0);
      },
    },
  };
}

/** What changes of the horizontal axis when it is zoomed. */
export function xTicks(values: Values, range: Range, width: number): XAXisOption {
  if (values.x.names) return {};
  const wanted = Math.max(Math.floor(width / 90), 3);
  const customValues = values.x.ticks(range, wanted);
  return { axisLabel: { customValues }, axisTick: { customValues } };
}

function zoom(values: Values, state: State): EChartsOption["dataZoom"] {
  return [{
    type: "inside",
    xAxisIndex: 0,
    filterMode: "none",
    startValue: state.range[0],
    endValue: state.range[1],
    minSpan: values.x.names ? 0 : 0.1,
    zoomOnMouseWheel: "ctrl",
    moveOnMouseWheel: "shift",
    moveOnMouseMove: state.isTouch,
    preventDefaultMouseMove: false,
  }];
}

function xAxis(chart: Chart, values: Values, look: Look, state: State) {
  const shared = {
    ...title(chart.x, look.muted, look, state.width * 0.7),
    axisLine: { show: true, onZero: false, lineStyle: { color: look.muted } },
    splitLine: { show: false },
  };
  const label = { color: look.muted, hideOverlap: true, margin: 10 };
  if (values.x.names) {
    return { ...shared, type: "category", data: values.x.names, axisTick: { show: false }, axisLabel: { ...label, ...room(values.x.names.length, state.width) } };
  }
  const ticks = xTicks(values, state.range, state.width);
  return {
    ...shared,
    type: "value",
    min: values.extent[0],
    max: values.extent[1],
    axisTick: { ...ticks.axisTick, show: true, lineStyle: { color: look.muted } },
    axisLabel: { ...label, ...ticks.axisLabel, formatter: (place: number) => values.x.label(place) },
  };
}

/** Each name of some has the place of its bar; of many those are told that fit. */
function room(names: number, width: number) {
  const each = (width - 70) / names;
  if (names > 16) return { width: 100, overflow: "truncate" };
  return each >= 70
    ? { interval: 0, hideOverlap: false, width: each - 10, overflow: "truncate" }
    : { interval: 0, hideOverlap: false, width: 90, overflow: "truncate", rotate: 35 };
}

function yAxis(chart: Chart, values: Values, look: Look, at: number, width: number): YAXisOption {
  const scale = values.y[at]!;
  const [min, max] = values.yExtents[at]!;
  const own = chart.series.flatMap((series, place) => (series.axis === at ? [place] : []));
  const color = chart.y.length > 1 && own.length === 1 ? colorOf(look, own[0]!) : look.muted;
  const axis = chart.y[at]!;
  const isFree = scale.isEven && axis.min === null && axis.max === null;
  const customValues = isFree ? undefined : scale.ticks([min, max], 6);
  // Where there is no room for names, colours and the units in the legend tell the axes apart.
  const isTight = chart.y.length > 1 && width < 480;
  const third = at > 1 ? { offset: labelWidth(values, 1) + (isTight ? 4 : 34) } : {};
  return {
    ...(!isTight && title(axis, color, look, 230)),
    ...third,
    type: "value",
    position: at === 0 ? "left" : "right",
    ...(!isFree && { min, max }),
    splitNumber: 4,
    axisLine: { show: at > 0, lineStyle: { color } },
    axisTick: { show: false, ...(customValues && { customValues }) },
    axisLabel: { color, hideOverlap: true, ...(customValues && { customValues }), formatter: (place: number) => scale.label(place) },
    splitLine: { show: at === 0, lineStyle: { color: look.rule } },
  } as YAXisOption;
}

function labelWidth(values: Values, at: number): number {
  const [from, to] = values.yExtents[at]!;
  const labels = values.y[at]!.ticks([from, to], 4).map((place) => values.y[at]!.label(place).length);
  return Math.max(...labels, 2) * 7 + 10;
}

function title(axis: Axis, color: string, look: Look, maxWidth: number) {
  return {
    name: named(axis.name, axis.unit),
    nameLocation: "middle" as const,
    nameGap: 28,
    nameTruncate: { maxWidth },
    nameTextStyle: { color, fontFamily: look.font, fontSize: 12 },
  };
}

/** What stands elsewhere when it is zoomed. */
export function movingOf(chart: Chart, values: Values, look: Look, state: State): EChartsOption["series"] & unknown[] {
  return [
    ...symbolsOf(chart, values, look, state.hidden, state.range, state.width),
    ...labelsOf(chart, values, look, state.hidden),
    guideOf(chart, values, look, state),
  ] as EChartsOption["series"] & unknown[];
}
