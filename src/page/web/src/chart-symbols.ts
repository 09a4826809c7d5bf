// What tells one series from another where its colour does not: a symbol and dashes, as the drawing has them and as an
// entry of the legend shows them.

import { colorOf, type Look } from "./chart-look";
import type { Kind } from "./chart-types";

type Shape = "circle" | "rect" | "triangle" | "diamond";

const SHAPES: Shape[] = ["circle", "rect", "triangle", "diamond"];
const DASHED = [7, 5];
/** Of each eight series; past them there is no telling but by hiding. */
const DASHES = [null, [2, 3], [9, 3, 2, 3]];
const SERIES = 8;
const SVG = "http://www.w3.org/2000/svg";

const shapeOf = (at: number) => SHAPES[at % SHAPES.length]!;
const isEmpty = (at: number) => at % SERIES >= SHAPES.length;

/** A series' symbol as the library is told it. */
export function symbolOf(look: Look, at: number, opacity = 1) {
  const color = colorOf(look, at);
  const itemStyle = isEmpty(at) ? { color: look.surface, borderColor: color, borderWidth: 2, opacity } : { color, opacity };
  return { symbol: shapeOf(at), itemStyle };
}

/** Lengths of dashes and gaps; null for an unbroken line. */
export function dashOf(kind: Kind, at: number): number[] | null {
  if (kind === "dashed") return DASHED;
  const dash = DASHES[Math.floor(at / SERIES) % DASHES.length]!;
  return dash && [...dash];
}

/** A piece of the series as it is drawn. Colours come from the style sheet. */
export function swatchOf(kind: Kind, at: number): HTMLElement {
  const swatch = document.createElement("span");
  swatch.className = `swatch ${kind}`;
  if (kind === "bars" || kind === "stacked") return swatch;
  const picture = swatch.appendChild(drawn("svg", { viewBox: "0 0 28 14", width: "28", height: "14", "aria-hidden": "true" }));
  if (kind !== "points") {
    const dash = dashOf(kind, at);
    picture.append(drawn("path", { d: "M1 7H27", class: "stroke", ...(dash && { "stroke-dasharray": dash.join(" ") }) }));
  }
  picture.append(drawn("path", { d: outline(shapeOf(at)), class: isEmpty(at) ? "symbol empty" : "symbol" }));
  return swatch;
}

/** Around the middle of a picture of 28 by 14. */
function outline(shape: Shape): string {
  switch (shape) {
    case "circle": return "M10 7a4 4 0 1 0 8 0a4 4 0 1 0 -8 0Z";
    case "rect": return "M10.5 3.5h7v7h-7Z";
    case "triangle": return "M14 2.5l4.2 8h-8.4Z";
    case "diamond": return "M14 2l5 5l-5 5l-5 -5Z";
  }
}

function drawn(tag: string, attributes: Record<string, string>): SVGElement {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}
