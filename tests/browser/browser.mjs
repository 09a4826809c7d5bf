// A browser that is told when a page does what it must not: ask for anything, or complain.

import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

export const launch = () =>
  chromium.launch({
    executablePath: process.env.CHROMIUM,
    args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
  });

/** A page, and what went wrong on it so far. */
export async function open(browser, file, options) {
  const context = await browser.newContext({ deviceScaleFactor: 1, reducedMotion: "reduce", ...options });
  const wrong = [];
  const url = pathToFileURL(file).href;
  const page = await context.newPage();
  page.on("request", (request) => {
    if (request.url() !== url && !request.url().startsWith("data:")) wrong.push(`asked for ${request.url()}`);
  });
  await context.route(/^(?!file:|data:)/, (route) => route.abort());
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) wrong.push(`${message.type()}: ${message.text()}`);
  });
  page.on("pageerror", (error) => wrong.push(`uncaught: ${error.stack}`));
  page.on("dialog", (dialog) => {
    wrong.push(`a dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  await page.goto(url);
  return { page, wrong, close: () => context.close() };
}

/** Opens what is folded and brings every chart into sight, so that all are drawn. */
export async function unfold(page) {
  await page.evaluate(async () => {
    for (const details of document.querySelectorAll("main details.folded")) details.open = true;
    for (const figure of document.querySelectorAll("figure.chart")) {
      figure.scrollIntoView({ block: "center", behavior: "instant" });
      await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    }
    scrollTo({ top: 0, behavior: "instant" });
  });
  await page.waitForFunction(() => [...document.querySelectorAll(".stage")].every((stage) => stage.querySelector("canvas")));
}

export async function violations(page) {
  await page.evaluate(axe);
  const found = await page.evaluate(async () => (await window.axe.run(document, { resultTypes: ["violations"] })).violations);
  return found.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.slice(0, 3).map((node) => node.html.slice(0, 200) + " " + (node.failureSummary ?? "")).join(" | ")}`);
}

/** Of each chart: its title and how many dots of its picture have a colour; of several axes each has one, too, and is left out. */
export const colours = (page) =>
  page.evaluate(() => {
    const isColoured = (dot) => {
      const [red, green, blue] = [dot & 255, (dot >> 8) & 255, (dot >> 16) & 255];
      return dot >>> 24 > 0 && Math.max(red, green, blue) - Math.min(red, green, blue) > 40;
    };
    /** From where to where rules go: lines that lie level and have no colour. */
    const between = (dots, width) => {
      let [least, most] = [width, 0];
      for (let start = 0; start < dots.length; start += width) {
        for (let from = 0, at = 1; at <= width; at += 1) {
          const dot = dots[start + from];
          if (at < width && dots[start + at] === dot) continue;
          if (at - from >= 30 && dot >>> 24 > 0 && !isColoured(dot)) [least, most] = [Math.min(least, from), Math.max(most, at)];
          from = at;
        }
      }
      return [least + 2, most - 2];
    };
    return [...document.querySelectorAll(".plot")].map((plot) => {
      const figure = plot.closest("figure");
      const canvas = plot.querySelector("canvas");
      const { width, height } = canvas;
      const dots = new Uint32Array(canvas.getContext("2d").getImageData(0, 0, width, height).data.buffer);
      const axes = JSON.parse(figure.querySelector("script").textContent).y.length;
      const [from, to] = axes > 1 ? between(dots, width) : [0, width];
      const isInside = (at) => at % width >= from && at % width < to;
      const count = dots.reduce((count, dot, at) => count + (isInside(at) && isColoured(dot) ? 1 : 0), 0);
      return { title: figure.querySelector("h3").textContent, dots: count };
    });
  });

/** Figures with a horizontal axis of numbers and enough of them to zoom, at most so many. */
export async function zoomable(page, most) {
  const ids = await page.evaluate(() =>
    [...document.querySelectorAll("figure.chart")]
      .filter((figure) => {
        const text = figure.querySelector("script")?.textContent;
        if (!text || figure.closest("details:not([open])")) return false;
        const { x, series } = JSON.parse(text);
        return typeof x.scale !== "object" && new Set(series.flatMap((one) => one.points.map(([at]) => at))).size > 4;
      })
      .map((figure) => figure.id),
  );
  return ids.slice(0, most).map((id) => page.locator(`#${id}`));
}
