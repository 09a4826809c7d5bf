// The page around the charts: draws each when it comes into sight, and keeps theme, contents and tables in hand.

import { alignGroups, View } from "./chart";
import type { Chart } from "./chart-types";
import { element } from "./chart-tip";

const root = document.documentElement;
const views = new Map<HTMLElement, View>();
const waiting = new Map<HTMLElement, Chart>();

function mount(figure: HTMLElement): void {
  const chart = waiting.get(figure);
  const stage = figure.querySelector<HTMLElement>(".stage");
  if (!chart || !stage) return;
  waiting.delete(figure);
  const summary = document.getElementById(`${figure.id}_summary`);
  views.set(figure, new View(stage, chart, { labelledBy: `${figure.id}_title`, describedBy: summary?.id ?? "" }));
}

function charts(): void {
  for (const figure of document.querySelectorAll<HTMLElement>("figure.chart")) {
    const text = figure.querySelector("script")?.textContent;
    if (text) waiting.set(figure, JSON.parse(text) as Chart);
  }
  alignGroups([...waiting.values()]);
  const sight = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting) continue;
      sight.unobserve(target);
      mount(target as HTMLElement);
    }
  }, { rootMargin: "400px" });
  for (const figure of waiting.keys()) sight.observe(figure);
}

function redraw(): void {
  for (const view of views.values()) view.draw();
}

function theme(): void {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const button = document.querySelector<HTMLButtonElement>("button.theme");
  const words = button?.firstElementChild;
  if (!button || !words) return;
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const name = () => (words.textContent = isDark() ? "Light theme" : "Dark theme");
  const follow = () => {
    name();
    redraw();
  };
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    follow();
  });
  system.addEventListener("change", follow);
  button.hidden = false;
  name();
}

function contents(): void {
  const details = document.querySelector<HTMLDetailsElement>(".contents");
  if (!details) return;
  const wide = matchMedia("(min-width: 64rem)");
  const fit = () => (details.open = wide.matches);
  wide.addEventListener("change", fit);
  fit();
  const links = new Map([...details.querySelectorAll("a")].map((link) => [decodeURIComponent(link.hash.slice(1)), link]));
  details.addEventListener("click", (event) => {
    if (!wide.matches && event.target instanceof HTMLAnchorElement) details.open = false;
  });
  const headings = [...document.querySelectorAll("h2")];
  const mark = () => {
    const atEnd = innerHeight + scrollY >= root.scrollHeight - 2 && scrollY > 0;
    const passed = headings.filter((heading) => heading.getBoundingClientRect().top < innerHeight / 3);
    const here = (atEnd ? headings.at(-1) : passed.at(-1))?.id;
    for (const [id, link] of links) {
      if (id === here) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
  };
  let isAsked = false;
  addEventListener("scroll", () => {
    if (isAsked) return;
    isAsked = true;
    requestAnimationFrame(() => {
      isAsked = false;
      mark();
    });
  }, { passive: true });
  mark();
}

/** What cannot be scrolled is no stop on the way of the Tab key. */
function scrolls(): void {
  const watch = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      const isLarger = target.scrollWidth > target.clientWidth || target.scrollHeight > target.clientHeight;
      (target as HTMLElement).tabIndex = isLarger ? 0 : -1;
    }
  });
  for (const region of document.querySelectorAll(".scroll, pre")) watch.observe(region);
}

function copies(): void {
  for (const code of document.querySelectorAll<HTMLElement>(".code")) {
    const button = element("button", "", "Copy") as HTMLButtonElement;
    const words = code.querySelector("h3")?.textContent ?? "";
    button.type = "button";
    button.setAttribute("aria-label", `Copy: ${words}`);
    button.addEventListener("click", () => {
      const said = (text: string) => (button.textContent = text);
      navigator.clipboard.writeText(code.querySelector("pre")?.textContent ?? "").then(() => said("Copied"), () => said("Not permitted"));
      setTimeout(() => said("Copy"), 2000);
    });
    code.querySelector(".bar")?.append(button);
  }
}

/** On paper all charts stand, in ink on white. */
function prints(): void {
  let before: string | undefined;
  addEventListener("beforeprint", () => {
    before = root.dataset.theme;
    root.dataset.theme = "light";
    for (const figure of [...waiting.keys()]) mount(figure);
    redraw();
  });
  addEventListener("afterprint", () => {
    if (before) root.dataset.theme = before;
    else delete root.dataset.theme;
    redraw();
  });
}

root.classList.add("scripted");
theme();
charts();
contents();
scrolls();
copies();
prints();
