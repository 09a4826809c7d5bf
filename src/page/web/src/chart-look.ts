// Colours and fonts, read from the page's style sheet: it alone knows the two themes.

export interface Look {
  text: string;
  muted: string;
  rule: string;
  surface: string;
  accent: string;
  font: string;
  series: string[];
}

const SERIES = 8;

export function lookOf(element: HTMLElement): Look {
  const probe = element.appendChild(document.createElement("span"));
  const color = (name: string) => {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  };
  const look: Look = {
    text: color("text"),
    muted: color("muted"),
    rule: color("rule"),
    surface: color("surface"),
    accent: color("accent"),
    font: getComputedStyle(probe).fontFamily,
    series: Array.from({ length: SERIES }, (_, at) => color(`series-${at + 1}`)),
  };
  probe.remove();
  return look;
}

export const colorOf = (look: Look, at: number) => look.series[at % SERIES]!;
