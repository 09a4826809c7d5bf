// What stands around a drawing: the legend, the buttons that zoom, what a screen reader is told. It draws nothing.

import type { Names, View } from "./chart";
import { named } from "./chart-format";
import { KEYS } from "./chart-keys";
import { colorOf, type Look } from "./chart-look";
import { swatchOf } from "./chart-symbols";
import { element, headOf } from "./chart-tip";

export interface Controls {
  plot: HTMLElement;
  refresh(look: Look): void;
  say(words: string): void;
}

let made = 0;

export function controlsOf(view: View, names: Names): Controls {
  const bar = element("div", "chart-bar");
  const legend = element("div", "legend");
  legend.setAttribute("role", "group");
  legend.setAttribute("aria-label", "Series");
  const entries = view.chart.series.map((_, at) => legend.appendChild(entry(view, at)));
  const shown = element("output", "shown");
  const zoom = element("div", "zoom");
  zoom.setAttribute("role", "group");
  zoom.setAttribute("aria-label", "Zoom");
  const reset = button("Reset", "Reset zoom", () => view.show(view.whole));
  const less = button("−", "Zoom out", () => view.zoom(2));
  zoom.append(shown, button("+", "Zoom in", () => view.zoom(0.5)), less, reset);
  bar.append(legend, zoom);
  const told = element("p", "unseen");
  told.setAttribute("aria-live", "polite");
  const keys = element("p", "unseen", KEYS);
  keys.id = `keys_${(made += 1)}`;
  const plot = plotOf(names, keys.id);
  view.stage.append(bar, plot, hint(), keys, told);
  return {
    plot,
    say: (words) => (told.textContent = words),
    refresh(look) {
      entries.forEach((made, at) => {
        made.setAttribute("aria-pressed", String(!view.hidden.has(at)));
        made.style.setProperty("--ink", colorOf(look, at));
      });
      const [from, to] = view.range;
      shown.textContent = view.isWhole ? "" : `${headOf(view.chart, view.values, from)} to ${view.values.x.text(to)}`;
      for (const needless of [reset, less]) needless.setAttribute("aria-disabled", String(view.isWhole));
    },
  };
}

function plotOf(names: Names, keys: string): HTMLElement {
  const plot = element("div", "plot");
  plot.tabIndex = 0;
  plot.setAttribute("role", "application");
  plot.setAttribute("aria-roledescription", "chart");
  plot.setAttribute("aria-labelledby", names.labelledBy);
  plot.setAttribute("aria-describedby", [names.describedBy, keys].filter(Boolean).join(" "));
  return plot;
}

function hint(): HTMLElement {
  const hint = element("p", "hint");
  hint.setAttribute("aria-hidden", "true");
  hint.append(
    element("span", "by-mouse", "Drag to zoom · Ctrl + wheel zooms, Shift + wheel moves · double click shows all"),
    element("span", "by-keys", "← → walk · + − zoom · 0 all · Esc leaves"),
  );
  return hint;
}

function entry(view: View, at: number): HTMLButtonElement {
  const series = view.chart.series[at]!;
  const made = button("", "", () => view.toggle(at));
  made.removeAttribute("aria-label");
  const unit = view.chart.y.length > 1 ? view.chart.y[series.axis]!.unit : "";
  made.append(swatchOf(series.kind, at), element("span", "", named(series.name || `Series ${at + 1}`, unit)));
  return made;
}

function button(text: string, label: string, act: () => void): HTMLButtonElement {
  const made = element("button", "", text) as HTMLButtonElement;
  made.type = "button";
  made.setAttribute("aria-label", label);
  made.addEventListener("click", act);
  return made;
}
