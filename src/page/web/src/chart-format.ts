// Numbers as people read them: four digits that count, thousands apart.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en", { maximumSignificantDigits: 4 });

export function number(value: number): string {
  const size = Math.abs(value);
  if (size < 1e-300) return "0";
  if (size < 1e-4 || size >= 1e15) return value.toExponential(3);
  return size >= 999.95 ? whole.format(value) : short.format(value);
}

/** As short as an axis wants it: 12k, 3.5M. */
export function tick(value: number): string {
  const size = Math.abs(value);
  for (const [limit, letter] of [[1e9, "G"], [1e6, "M"], [1e4, "k"]] as const) {
    if (size >= limit) return number(value / (letter === "k" ? 1e3 : limit)) + letter;
  }
  return number(Number(value.toPrecision(10)));
}

/** With one digit more than its nines. */
export function percentile(share: number): string {
  const nines = Math.ceil(-Math.log10(Math.max(1 - share, 1e-9)) - 1e-6);
  return String(Number((share * 100).toFixed(Math.max(nines - 1, 2))));
}

export function withUnit(text: string, unit: string): string {
  if (!unit) return text;
  return unit === "%" ? text + unit : `${text}\u00a0${unit}`;
}

export function named(name: string, unit: string): string {
  return unit ? `${name} (${unit})` : name;
}
