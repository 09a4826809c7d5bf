// What every page must do, in each width and theme: draw all charts, ask for nothing, be used by mouse, finger and keys.

import assert from "node:assert/strict";
import { basename, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { colours, launch, open, unfold, violations, zoomable } from "./browser.mjs";

const PAGES = process.env.PAGES.split("\n").filter(Boolean);
const OUT = process.env.OUT;
const WIDE = { viewport: { width: 1280, height: 900 } };
const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };
const NARROW = { viewport: { width: 320, height: 640 }, hasTouch: true, isMobile: true };
const SIZES = { wide: WIDE, phone: PHONE, narrow: NARROW };

let browser;
before(async () => (browser = await launch()));
after(() => browser.close());

/** Runs a test on a page, and has it fail for anything that the page complains of. */
async function on(file, options, act) {
  const opened = await open(browser, file, options);
  try {
    await act(opened.page);
    assert.deepEqual(opened.wrong, []);
  } finally {
    await opened.close();
  }
}

const shown = (figure) => figure.locator(".shown").textContent();
const told = (figure) => figure.locator("[aria-live]").textContent();

async function until(read, holds, words) {
  for (let turn = 0; turn < 40; turn += 1) {
    const value = await read();
    if (holds(value)) return value;
    await new Promise((done) => setTimeout(done, 50));
  }
  assert.fail(`${words}: ${await read()}`);
}

async function boxOf(figure) {
  await figure.scrollIntoViewIfNeeded();
  await figure.locator(".plot").scrollIntoViewIfNeeded();
  await figure.locator("canvas").first().waitFor();
  return figure.locator(".plot").boundingBox();
}

for (const file of PAGES) {
  const name = basename(file, ".html");
  describe(name, () => {
    for (const [size, options] of Object.entries(SIZES)) {
      for (const colorScheme of ["light", "dark"]) {
        test(`is whole and accessible: ${size}, ${colorScheme}`, () =>
          on(file, { ...options, colorScheme }, async (page) => {
            await page.screenshot({ path: join(OUT, `${name}-${size}-${colorScheme}-top.png`) });
            await unfold(page);
            for (const { title, dots } of await colours(page)) assert.ok(dots > 20, `nothing is drawn: ${title}`);
            await page.screenshot({ path: join(OUT, `${name}-${size}-${colorScheme}.png`), fullPage: true });
            await page.evaluate(() => document.querySelectorAll("details").forEach((details) => (details.open = true)));
            const [wide, room] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
            assert.ok(wide <= room, `${wide} px in ${room}`);
            assert.deepEqual(await page.evaluate(brokenWords), []);
            if (size !== "wide") assert.deepEqual(await page.evaluate(smallTargets), []);
            await page.evaluate(() => [...document.querySelectorAll("details.data")].slice(2).forEach((details) => (details.open = false)));
            assert.deepEqual(await violations(page), []);
          }));
      }
    }

    test("a pointer over a chart shows its values", () =>
      on(file, WIDE, async (page) => {
        for (const figure of await zoomable(page, 5)) {
          const box = await boxOf(figure);
          const tip = figure.locator(".chart-tip-box");
          let text = "";
          for (let share = 0.3; share < 0.9 && !/\d/.test(text); share += 0.1) {
            await page.mouse.move(box.x + box.width * share, box.y + box.height * 0.4);
            await tip.waitFor({ state: "visible" });
            text = await tip.locator(".chart-tip-row b").allTextContents().then((all) => all.join(" "));
          }
          assert.match(text, /\d/);
        }
      }));

    test("buttons, a drawn rectangle and the wheel zoom", () =>
      on(file, WIDE, async (page) => {
        for (const figure of await zoomable(page, 5)) {
          const box = await boxOf(figure);
          const zoomed = (how) => until(() => shown(figure), (text) => /\d/.test(text), how);
          const reset = async () => {
            await figure.getByRole("button", { name: "Reset zoom" }).click();
            await until(() => shown(figure), (text) => text === "", "reset");
          };
          assert.equal(await shown(figure), "");
          await figure.getByRole("button", { name: "Zoom in" }).click();
          const half = await zoomed("the button");
          await figure.getByRole("button", { name: "Zoom in" }).click();
          assert.notEqual(await shown(figure), half);
          await reset();
          await page.mouse.move(box.x + box.width * 0.35, box.y + box.height * 0.5);
          await page.mouse.down();
          await page.mouse.move(box.x + box.width * 0.5, box.y + box.height * 0.5, { steps: 4 });
          await page.mouse.move(box.x + box.width * 0.7, box.y + box.height * 0.5, { steps: 4 });
          await page.mouse.up();
          await zoomed("the rectangle");
          await reset();
          await page.mouse.move(box.x + box.width * 0.5, box.y + box.height * 0.5);
          await page.keyboard.down("Control");
          await page.mouse.wheel(0, -240);
          await page.keyboard.up("Control");
          await zoomed("the wheel");
          await page.mouse.dblclick(box.x + box.width * 0.5, box.y + box.height * 0.5);
          await until(() => shown(figure), (text) => text === "", "a double click");
        }
      }));

    test("two fingers zoom", () =>
      on(file, PHONE, async (page) => {
        const [figure] = await zoomable(page, 1);
        if (!figure) return;
        const box = await boxOf(figure);
        const client = await page.context().newCDPSession(page);
        const y = box.y + box.height * 0.4;
        const at = (gap) => [-gap, gap].map((shift, id) => ({ x: box.x + box.width / 2 + shift, y, id }));
        await client.send("Input.dispatchTouchEvent", { type: "touchStart", touchPoints: at(20) });
        for (const gap of [30, 45, 60, 80]) await client.send("Input.dispatchTouchEvent", { type: "touchMove", touchPoints: at(gap) });
        await client.send("Input.dispatchTouchEvent", { type: "touchEnd", touchPoints: [] });
        await until(() => shown(figure), (text) => /\d/.test(text), "two fingers");
      }));

    test("keys walk through the values, zoom and leave", () =>
      on(file, WIDE, async (page) => {
        for (const figure of await zoomable(page, 5)) {
          await boxOf(figure);
          const plot = figure.locator(".plot");
          await plot.focus();
          await page.keyboard.press("Home");
          const first = await until(() => told(figure), (text) => /\d.*: .*\d/.test(text), "Home");
          await page.keyboard.press("ArrowRight");
          const second = await until(() => told(figure), (text) => text !== first, "an arrow");
          await page.keyboard.press("ArrowLeft");
          await until(() => told(figure), (text) => text === first, "back");
          await page.keyboard.press("End");
          await until(() => told(figure), (text) => text !== first && text !== second, "End");
          const head = (await told(figure)).split(": ")[0];
          await until(() => figure.locator(".chart-tip-head").textContent(), (text) => text === head, "the tooltip says the same");
          await page.keyboard.press("+");
          await until(() => shown(figure), (text) => /\d/.test(text), "plus");
          await page.keyboard.press("Home");
          await until(() => told(figure), (text) => text === first, "out of the part that is shown");
          await page.keyboard.press("0");
          await until(() => shown(figure), (text) => text === "", "zero");
          await page.keyboard.press("Escape");
          assert.equal(await plot.evaluate((element) => element === document.activeElement), false);
        }
      }));

    test("charts of a group are zoomed together", () =>
      on(file, WIDE, async (page) => {
        await unfold(page);
        const groups = await page.evaluate(() => {
          const charts = [...document.querySelectorAll("figure.chart:has(canvas)")];
          const named = charts.map((figure) => [JSON.parse(figure.querySelector("script").textContent), figure.id]);
          const joined = named.filter(([{ group, x }]) => group && typeof x.scale !== "object");
          return Object.values(Object.groupBy(joined, ([{ group }]) => group)).map((all) => all.map(([, id]) => id));
        });
        for (const group of groups.filter((ids) => ids.length > 1)) {
          await page.locator(`#${group[0]}`).getByRole("button", { name: "Zoom in" }).click();
          const range = await shown(page.locator(`#${group[0]}`));
          assert.match(range, /\d/);
          for (const id of group) await until(() => shown(page.locator(`#${id}`)), (text) => text === range, id);
        }
      }));

    test("the legend hides and shows, by keys too", () =>
      on(file, WIDE, async (page) => {
        const [figure] = await zoomable(page, 1);
        if (!figure) return;
        await boxOf(figure);
        const entry = figure.locator(".legend button").first();
        const picture = () => figure.locator("canvas").first().evaluate((canvas) => canvas.toDataURL());
        const whole = await picture();
        await entry.click();
        assert.equal(await entry.getAttribute("aria-pressed"), "false");
        await until(picture, (data) => data !== whole, "hidden");
        await entry.press("Space");
        assert.equal(await entry.getAttribute("aria-pressed"), "true");
      }));

    test("entries of a legend differ by more than their colour", () =>
      on(file, WIDE, async (page) => {
        await unfold(page);
        const legends = await page.evaluate(() =>
          [...document.querySelectorAll(".legend")].map((legend) => [...legend.querySelectorAll("svg")].map((svg) => svg.innerHTML)),
        );
        assert.ok(legends.length > 0);
        for (const entries of legends) assert.equal(new Set(entries).size, entries.length);
      }));

    test("the theme is changed by its button, and charts follow", () =>
      on(file, { ...WIDE, colorScheme: "light" }, async (page) => {
        const [figure] = await zoomable(page, 1);
        if (figure) await boxOf(figure);
        const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
        const picture = () => (figure ? figure.locator("canvas").first().evaluate((canvas) => canvas.toDataURL()) : "");
        const [light, drawn] = [await ground(), await picture()];
        await page.getByRole("button", { name: "Dark theme" }).click();
        assert.notEqual(await ground(), light);
        if (figure) await until(picture, (data) => data !== drawn, "the chart");
        await page.getByRole("button", { name: "Light theme" }).click();
        assert.equal(await ground(), light);
      }));

    test("everything can be read without scripts", () =>
      on(file, { ...WIDE, javaScriptEnabled: false }, async (page) => {
        assert.equal(await page.locator("button:visible").count(), 0);
        const values = page.locator("details.data > summary:visible").first();
        if ((await values.count()) > 0) {
          await values.click();
          assert.ok(await page.locator("details.data[open] table").first().isVisible());
        }
        await page.screenshot({ path: join(OUT, `${name}-without-script.png`), fullPage: true });
      }));

    test("it goes onto paper", () =>
      on(file, { ...WIDE, colorScheme: "dark" }, async (page) => {
        await page.pdf({ path: join(OUT, `${name}.pdf`), format: "A4" });
        const charts = await page.locator("main .stage:visible").count();
        assert.equal(await page.locator(".stage:visible canvas").count(), charts);
      }));
  });
}

/** Words of headings that stand on two lines. */
function brokenWords() {
  const broken = [];
  for (const heading of document.querySelectorAll("h1, h2, h3")) {
    const walker = document.createTreeWalker(heading, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const node = walker.currentNode;
      for (const { index, 0: word } of node.textContent.matchAll(/[\p{L}\p{N}]{2,20}/gu)) {
        // A piece of a name without a space in it may have to be broken.
        const whole = /\S*$/.exec(node.textContent.slice(0, index))[0].length + /^\S*/.exec(node.textContent.slice(index))[0].length;
        if (whole > 22) continue;
        const range = document.createRange();
        range.setStart(node, index);
        range.setEnd(node, index + word.length);
        if (new Set([...range.getClientRects()].map((rect) => Math.round(rect.top))).size > 1) broken.push(word);
      }
    }
  }
  return broken;
}

/** What is too small for a finger. */
function smallTargets() {
  return [...document.querySelectorAll("button, summary, nav a")]
    .map((element) => [element.textContent, element.getBoundingClientRect()])
    .filter(([, { width, height }]) => width > 0 && (height < 43.5 || width < 43.5))
    .map(([text, { width, height }]) => `${text}: ${Math.round(width)} × ${Math.round(height)}`);
}
