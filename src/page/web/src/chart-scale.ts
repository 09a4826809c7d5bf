// How values become places on an axis and back. Logarithms and percentiles are taken here, so that zooming is even on
// every axis; the library sees an even axis, or one of names.

import { number, percentile, tick } from "./chart-format";
import type { Axis, Range } from "./chart-types";

export interface Scale {
  /** Of an axis of names. */
  names: string[] | null;
  isEven: boolean;
  /** NaN where it has no place. */
  place(value: number): number;
  /** In full, for a tooltip. */
  text(place: number): string;
  /** In short, for the axis. */
  label(place: number): string;
  /** Where labels stand between two places, about as many as wanted. */
  ticks(range: Range, wanted: number): number[];
  /** From where to where it goes for places between these. */
  extent(range: Range): Range;
}

/** Values are needed where a percentile of 1, which lies nowhere, is to come after all the others. */
export function scaleOf(axis: Axis, values: number[]): Scale {
  if (typeof axis.scale === "object") return names(axis.scale.names);
  if (axis.scale === "log") return log();
  return axis.scale === "percentile" ? percentiles(values) : linear();
}

function linear(): Scale {
  return {
    names: null,
    isEven: true,
    place: (value) => value,
    text: number,
    label: tick,
    ticks: evenTicks,
    extent: ([from, to]) => (from >= 0 ? [0, to || 1] : [from, Math.max(to, 0)]),
  };
}

function names(list: string[]): Scale {
  const text = (place: number) => list[place] ?? number(place);
  return {
    names: list,
    isEven: true,
    place: (value) => value,
    text,
    label: text,
    ticks: ([from, to]) => Array.from({ length: to - from + 1 }, (_, at) => from + at),
    extent: ([from, to]) => [Math.min(0, from), Math.max(list.length - 1, to)],
  };
}

function log(): Scale {
  return {
    names: null,
    isEven: false,
    place: (value) => (value > 0 ? Math.log10(value) : NaN),
    text: (place) => number(10 ** place),
    label: (place) => tick(10 ** place),
    ticks: logTicks,
    extent: ([from, to]) => [stepOfDecade(from, Math.floor), stepOfDecade(Math.max(to, from + 0.1), Math.ceil)],
  };
}

function percentiles(values: number[]): Scale {
  const inside = values.filter((value) => value >= 0 && value < 1).map((value) => -Math.log10(1 - value));
  const last = inside.reduce((most, place) => Math.max(most, place), 1);
  const end = last + 0.3;
  const share = (place: number) => (place >= end ? 1 : 1 - 10 ** -place);
  return {
    names: null,
    isEven: false,
    place: (value) => (value >= 0 && value < 1 ? -Math.log10(1 - value) : value >= 1 ? end : NaN),
    text: (place) => percentile(share(place)),
    label: (place) => percentile(share(place)),
    ticks: percentileTicks,
    extent: ([, to]) => [0, Math.max(to, 1)],
  };
}

function evenTicks([from, to]: Range, wanted: number): number[] {
  const rough = (to - from) / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5].find((times) => times * power >= rough) ?? 10) * power;
  const first = Math.ceil(from / step - 1e-9);
  const last = Math.floor(to / step + 1e-9);
  return Array.from({ length: Math.max(last - first + 1, 0) }, (_, at) => Number(((first + at) * step).toPrecision(12)));
}

/** Powers of ten where they are enough; else 1, 2 and 5 of each, or plain numbers. */
function logTicks([from, to]: Range, wanted: number): number[] {
  if (to - from < 0.7) {
    return evenTicks([10 ** from, 10 ** to], wanted).filter((value) => value > 0).map(Math.log10);
  }
  const decades = evenTicks([Math.floor(from), Math.ceil(to)], Math.max(wanted, 2)).filter(Number.isInteger);
  const finer = (to - from) * 3 <= wanted * 1.3 ? [1, 2, 5] : [1];
  return decades
    .flatMap((decade) => finer.map((times) => decade + Math.log10(times)))
    .filter((place) => place >= from - 1e-9 && place <= to + 1e-9);
}

function stepOfDecade(place: number, round: (value: number) => number): number {
  const steps = [0, Math.log10(2), Math.log10(5), 1];
  const decade = Math.floor(place);
  const within = steps.map((step) => decade + step);
  const fits = round === Math.floor
    ? within.filter((step) => step <= place + 1e-9).pop()
    : within.find((step) => step >= place - 1e-9);
  return fits ?? round(place);
}

function percentileTicks([from, to]: Range, wanted: number): number[] {
  const nines = Array.from({ length: 9 }, (_, at) => at + 1);
  const coarse = [0, Math.log10(2), ...nines];
  const inside = (places: number[]) => places.filter((place) => place >= from - 1e-9 && place <= to + 1e-9);
  if (inside(coarse).length >= Math.min(wanted, 4)) return inside(coarse);
  const shares = [0, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85];
  const tails = nines.flatMap((nine) => [1, 0.5, 0.3, 0.2].map((rest) => nine - Math.log10(rest)));
  return inside([...shares.map((share) => -Math.log10(1 - share)), ...tails]);
}
