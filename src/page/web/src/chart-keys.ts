// A chart by keys: arrows walk through its places, + and − zoom, Escape leaves. What a key does to the chart is its own.

import type { View } from "./chart";

export const KEYS = "Left and right arrow keys walk through the values, Page Up and Page Down in longer steps, Home and End to the ends; plus and minus zoom, 0 shows all, Escape leaves.";

export function walk(view: View, plot: HTMLElement): void {
  plot.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const act = actOf(event.key, view);
    if (!act) return;
    event.preventDefault();
    act();
  });
  plot.addEventListener("blur", () => view.leave());
  plot.addEventListener("pointermove", () => (view.cursor = null));

  function actOf(key: string, { values: { places } }: View): (() => void) | undefined {
    const far = Math.max(Math.round(places.length / 10), 2);
    const keys: Record<string, () => void> = {
      ArrowRight: () => step(1),
      ArrowLeft: () => step(-1),
      PageDown: () => step(far),
      PageUp: () => step(-far),
      Home: () => go(0),
      End: () => go(places.length - 1),
      "+": () => view.zoom(0.5),
      "=": () => view.zoom(0.5),
      "-": () => view.zoom(2),
      "0": () => view.show(view.whole),
      Escape: () => {
        view.leave();
        plot.blur();
      },
    };
    return keys[key];
  }

  function step(by: number): void {
    const { places } = view.values;
    const { cursor, range } = view;
    if (cursor === null) return go(places.findIndex((place) => place >= range[0]));
    const next = places.findIndex((place) => place >= cursor);
    const at = next < 0 ? places.length - 1 : next;
    go(at + by);
  }

  function go(at: number): void {
    const { places } = view.values;
    const place = places[Math.min(Math.max(at, 0), places.length - 1)];
    if (place !== undefined) view.point(place);
  }
}
