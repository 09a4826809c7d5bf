// What stands at a place of a chart: as a tooltip, and as words to be read out. Text alone, never markup.

import { withUnit } from "./chart-format";
import { colorOf, type Look } from "./chart-look";
import { swatchOf } from "./chart-symbols";
import type { Chart, Range } from "./chart-types";
import { spotAt, type Values } from "./chart-values";

interface Told {
  at: number;
  name: string;
  value: string;
}

const SHOWN = 12;

export function headOf(chart: Chart, values: Values, place: number): string {
  const text = values.x.text(place);
  const unit = chart.x.scale === "percentile" ? "%" : chart.x.unit;
  return [values.x.names ? "" : chart.x.name, withUnit(text, values.x.names ? "" : unit)].filter(Boolean).join(" ");
}

function told(chart: Chart, values: Values, place: number, hidden: Set<number>, range: Range): Told[] {
  const reach = values.x.names ? 0 : (range[1] - range[0]) * 0.01;
  return chart.series.flatMap((series, at) => {
    if (hidden.has(at)) return [];
    const spot = spotAt(series, values.spots[at]!, place, reach);
    if (!spot || spot.y === null) return [];
    const scale = values.y[series.axis]!;
    const { unit } = chart.y[series.axis]!;
    const spread = spot.from === null || spot.to === null ? "" : ` (${scale.text(spot.from)} to ${scale.text(spot.to)})`;
    return [{ at, name: series.name, value: withUnit(scale.text(spot.y), unit) + spread }];
  });
}

export function words(chart: Chart, values: Values, place: number, hidden: Set<number>, range: Range): string {
  const all = told(chart, values, place, hidden, range).map(({ name, value }) => `${name} ${value}`);
  return `${headOf(chart, values, place)}: ${all.join(", ") || "no value"}`;
}

export function tipOf(chart: Chart, values: Values, look: Look, place: number, hidden: Set<number>, range: Range): HTMLElement {
  const box = element("div", "chart-tip-box");
  box.append(element("p", "chart-tip-head", headOf(chart, values, place)));
  const all = told(chart, values, place, hidden, range);
  for (const { at, name, value } of all.slice(0, SHOWN)) {
    const row = element("p", "chart-tip-row");
    const swatch = swatchOf(chart.series[at]!.kind, at);
    swatch.style.setProperty("--ink", colorOf(look, at));
    row.append(swatch, element("span", "chart-tip-name", name), element("b", "", value));
    box.append(row);
  }
  if (all.length > SHOWN) box.append(element("p", "chart-tip-name", `and ${all.length - SHOWN} more`));
  if (all.length === 0) box.append(element("p", "chart-tip-name", "no value here"));
  return box;
}

export function element(tag: string, className: string, text = ""): HTMLElement {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}
