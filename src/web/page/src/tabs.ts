// One part of the run at a time: tabs as the ARIA practices have them, and their keys.

import { byId, make } from "./dom";

export class Tabs {
  private readonly tabs: HTMLButtonElement[] = [];

  constructor(private readonly list: HTMLElement, private readonly chosen: (name: string) => void) {
    list.addEventListener("keydown", (event) => this.move(event));
  }

  add(name: string, title: string): HTMLElement {
    const panel = make("div", { id: `panel-${name}`, role: "tabpanel", "aria-labelledby": `tab-${name}`, tabindex: "-1" });
    const tab = make("button", { id: `tab-${name}`, type: "button", role: "tab", "aria-controls": panel.id }, title);
    tab.addEventListener("click", () => this.choose(name));
    this.tabs.push(tab);
    this.list.append(tab);
    byId("panels").append(panel);
    return panel;
  }

  choose(name: string): void {
    for (const tab of this.tabs) {
      const is = tab.id === `tab-${name}`;
      tab.setAttribute("aria-selected", String(is));
      tab.tabIndex = is ? 0 : -1;
      byId(tab.getAttribute("aria-controls")!).hidden = !is;
      if (is) tab.scrollIntoView({ block: "nearest", inline: "nearest" });
    }
    this.chosen(name);
  }

  /** Chooses by number, from 1, and goes there. */
  number(number: number): void {
    const tab = this.tabs[number - 1];
    tab?.click();
    tab?.focus();
  }

  private move(event: KeyboardEvent): void {
    const here = this.tabs.indexOf(document.activeElement as HTMLButtonElement);
    const last = this.tabs.length - 1;
    const to = { ArrowLeft: here === 0 ? last : here - 1, ArrowRight: here === last ? 0 : here + 1, Home: 0, End: last }[event.key];
    if (here < 0 || to === undefined) return;
    event.preventDefault();
    this.number(to + 1);
  }
}
