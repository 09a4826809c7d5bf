// What a chart is described by. The Rust side writes it; nothing here draws.

export type ScaleName = "linear" | "log" | "percentile" | { names: string[] };

export interface Axis {
  name: string;
  unit: string;
  scale: ScaleName;
  min: number | null;
  max: number | null;
}

/** x, y, and from where to where it may lie. */
export type Place = [number, number | null, number?, number?];

export type Kind = "line" | "dashed" | "steps" | "points" | "bars" | "stacked";

export interface Series {
  name: string;
  kind: Kind;
  axis: number;
  points: Place[];
}

export interface Mark {
  name: string;
  x?: number | null;
  y?: number | null;
  /** Words beside a point of the first axis. */
  point?: [number, number];
  /** The same, with a ring around it. */
  ring?: [number, number];
}

export interface Chart {
  title: string;
  x: Axis;
  y: Axis[];
  series: Series[];
  marks: Mark[];
  group: string;
}

export type Range = [number, number];
