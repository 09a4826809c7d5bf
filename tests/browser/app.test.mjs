// The live page through whole runs: by mouse, by keys alone, on a phone; what it shows is what the files say.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { launch, violations } from "./browser.mjs";
import { serve, visit } from "./serving.mjs";

const WIDE = { viewport: { width: 1280, height: 900 } };
const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, colorScheme: "dark" };
const WORDS = ["--mock", "-m", "demo", "-u", "2", "-r", "50", "-t", "5m", "-o", "8"];
const PATIENCE = { timeout: 60_000 };

let browser;
before(async () => (browser = await launch()));
after(() => browser.close());

/** Runs a test on the page of a program of its own, and has it fail for anything that the page complains of. */
async function on(options, act) {
  const served = await serve(WORDS);
  const visited = await visit(browser, served.url, options);
  try {
    await act(visited.page, served);
    assert.deepEqual(await visited.wrong(), []);
  } finally {
    await visited.close();
    assert.equal(await served.end(), 0, served.said());
  }
}

const phase = (page, word) => page.locator(`#phase[data-phase="${word}"]`).waitFor(PATIENCE);
const points = (page, chart) => page.locator(`[data-chart="${chart}"]`).getAttribute("data-points").then(Number);
const fact = (page, name) => page.locator("#facts > div", { has: page.locator("dt", { hasText: name }) });

async function grown(page, chart, beyond) {
  await page.waitForFunction(([chart, beyond]) => Number(document.querySelector(`[data-chart="${chart}"]`).dataset.points) > beyond, [chart, beyond], PATIENCE);
  return points(page, chart);
}

/** Downloads a file of the run that is shown. */
async function download(page, name) {
  const [got] = await Promise.all([page.waitForEvent("download"), page.locator(`#panel-files a[href$="/${name}"]`).click()]);
  return readFile(await got.path(), "utf8");
}

test("a whole run by mouse, its files, and a second one", () =>
  on(WIDE, async (page) => {
    await page.fill("#field-users", "many");
    await page.click("#form [type=submit]");
    await page.locator("#field-users[aria-invalid=true]").waitFor();
    assert.match(await page.locator("#field-users-error").textContent(), /many/);
    await page.fill("#field-users", "3");
    await page.click("#form [type=submit]");
    await phase(page, "running");
    assert.ok(await page.locator("#start").isHidden());
    const few = await grown(page, "rate", 1);
    assert.ok((await grown(page, "rate", few)) > few);
    const drawn = await page.locator('[data-chart="latency"] canvas').evaluate((canvas) => {
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      let coloured = 0;
      for (let at = 0; at < data.length; at += 4) if (Math.max(data[at], data[at + 1], data[at + 2]) - Math.min(data[at], data[at + 1], data[at + 2]) > 40) coloured += 1;
      return coloured;
    });
    assert.ok(drawn > 50, `${drawn} dots`);

    await page.fill("#load-users", "6");
    await page.click("#load [type=submit]");
    await page.locator("#load-said", { hasText: "6 users" }).waitFor(PATIENCE);
    await fact(page, "Users").locator(".value", { hasText: /^6/ }).waitFor(PATIENCE);
    await page.fill("#load-users", "0");
    await page.click("#load [type=submit]");
    await page.locator("#load-error", { hasText: "at least 1" }).waitFor();
    await page.click("#pause");
    await page.locator("#pause", { hasText: "Resume" }).waitFor(PATIENCE);
    await page.click("#pause");
    await page.locator("#pause", { hasText: "Pause" }).waitFor(PATIENCE);

    await page.click("#stop");
    await phase(page, "idle");
    assert.ok(await page.locator("#control").isHidden());
    assert.match(await fact(page, "Figures").locator(".value").textContent(), /OK|STRAINED|INVALID/);
    await page.click("#tab-statistics");
    const total = await page.locator("#panel-statistics tbody tr").last().locator("th, td").allTextContents();
    await page.click("#tab-files");
    await page.locator('#panel-files a[href$="/result.json"]').waitFor(PATIENCE);
    const stats = (await download(page, "stats.csv")).trim().split("\n");
    assert.deepEqual(stats.at(-1).split(","), total);
    const result = JSON.parse(await download(page, "result.json"));
    assert.equal(String(result.measured.requests), total[2]);
    const [report] = await Promise.all([page.context().waitForEvent("page"), page.getByRole("link", { name: "open", exact: true }).click()]);
    await report.locator("figure.chart").first().scrollIntoViewIfNeeded(PATIENCE);
    await report.locator("figure.chart canvas").first().waitFor(PATIENCE);
    await report.close();
    await page.click("#tab-trust");
    assert.match(await page.locator("#panel-trust").textContent(), /cores: /);
    await page.click("#tab-log");
    assert.match(await page.locator("#panel-log pre").textContent(), /seed \d+/);

    await page.click("#start summary");
    await page.fill("#field-max-requests", "5");
    await page.click("#form [type=submit]");
    await page.waitForFunction(() => document.querySelector("#phase").dataset.phase !== "idle", undefined, PATIENCE);
    await phase(page, "idle");
    await page.click("#tab-runs");
    await page.locator("#panel-runs tbody tr").nth(1).waitFor(PATIENCE);
    await page.locator("#panel-runs tbody tr").nth(1).locator("a").click();
    await page.locator("#past").waitFor();
    await page.click("#tab-statistics");
    assert.deepEqual(await page.locator("#panel-statistics tbody tr").last().locator("th, td").allTextContents(), total);
    await page.click("#past a");
    await page.locator("#past").waitFor({ state: "hidden" });
  }));

test("a run by keys alone", () =>
  on(WIDE, async (page) => {
    await page.keyboard.press("n");
    assert.equal(await page.evaluate(() => document.activeElement.id), "field-host");
    while ((await page.evaluate(() => document.activeElement.id)) !== "field-users") await page.keyboard.press("Tab");
    await page.keyboard.press("Control+A");
    await page.keyboard.type("2");
    await page.keyboard.press("Enter");
    await phase(page, "running");
    assert.equal(await page.evaluate(() => document.activeElement.id), "run-title");
    await grown(page, "rate", 2);
    await page.locator('[data-chart="rate"] .stage').focus();
    const at = () => page.locator('[data-chart="rate"] .at').textContent();
    await page.keyboard.press("Home");
    const first = await at();
    await page.keyboard.press("ArrowRight");
    assert.notEqual(await at(), first);
    await page.keyboard.press("2");
    assert.equal(await page.locator("#tab-statistics").getAttribute("aria-selected"), "true");
    await page.keyboard.press("ArrowRight");
    assert.equal(await page.locator("#tab-failures").getAttribute("aria-selected"), "true");
    await page.keyboard.press("?");
    assert.ok(await page.locator("#help").isVisible());
    await page.keyboard.press("Escape");
    await page.keyboard.press("s");
    await phase(page, "idle");
  }));

test("a run on a phone, in sight from side to side", () =>
  on(PHONE, async (page) => {
    const isWide = () => page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
    assert.equal(await isWide(), false);
    assert.deepEqual(await violations(page), []);
    await page.locator("#form [type=submit]").tap();
    await phase(page, "running");
    await grown(page, "rate", 2);
    for (const tab of ["charts", "statistics", "failures", "workers", "trust", "log", "files", "runs"]) {
      await page.locator(`#tab-${tab}`).tap();
      assert.equal(await isWide(), false, tab);
      assert.deepEqual(await violations(page), [], tab);
    }
    const low = await page.locator("button:visible, input:visible").evaluateAll((all) =>
      all.filter((one) => one.type !== "checkbox" && one.getBoundingClientRect().height < 44).map((one) => one.id));
    assert.deepEqual(low, []);
    await page.screenshot({ path: join(process.env.OUT, "live-phone.png") });
    await page.locator("#stop").tap();
    await phase(page, "idle");
    assert.deepEqual(await violations(page), []);
  }));

test("two browsers see the same run, and closing one ends nothing", () =>
  on(WIDE, async (page, served) => {
    await page.click("#form [type=submit]");
    await phase(page, "running");
    const other = await visit(browser, served.url, { ...WIDE, colorScheme: "dark" });
    await phase(other.page, "running");
    await grown(other.page, "rate", 1);
    assert.equal(await other.page.locator("#run-title").textContent(), await page.locator("#run-title").textContent());
    assert.deepEqual(await violations(other.page), []);
    assert.deepEqual(await other.wrong(), []);
    await other.close();
    const before = await points(page, "rate");
    await grown(page, "rate", before + 1);
    await page.click("#stop");
    await phase(page, "idle");
  }));
