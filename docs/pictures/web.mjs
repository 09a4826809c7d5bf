// Takes the pictures of docs/web.md: the live page of a run against the built-in mock, in Chromium.
// usage, after tests/browser/app.sh has installed what it needs: LLMLOAD=target/debug/llmload node docs/pictures/web.mjs

import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { serve } from "../../tests/browser/serving.mjs";

const here = import.meta.dirname;
const installed = process.env.LLMLOAD_CI_CACHE ?? join(here, "../../target/ci");
const { chromium } = createRequire(`${resolve(installed)}/browser/`)("playwright-core");
process.env.LLMLOAD = resolve(process.env.LLMLOAD);

/** A server whose times vary as real ones do, and of which some requests fail. */
async function mock() {
  const words = ["mock-server", "-p", "0", "--model", "demo", "--ttft", "lognormal(120ms,0.4)", "--inter-token", "lognormal(12ms,0.3)",
    "--max-running", "12", "--fault", "rate-limit=0.02", "--seed", "7"];
  const program = spawn(process.env.LLMLOAD, words, { stdio: ["ignore", "pipe", "pipe"] });
  const url = await new Promise((found) => {
    const look = (piece) => {
      const address = /127\.0\.0\.1:\d+/.exec(String(piece))?.[0];
      if (address) found(`http://${address}`);
    };
    program.stdout.on("data", look);
    program.stderr.on("data", look);
  });
  return { url, end: () => program.kill("SIGTERM") };
}

const wide = { viewport: { width: 1280, height: 960 } };
const phone = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2, colorScheme: "dark" };

const server = await mock();
const served = await serve(["-H", server.url, "-m", "demo", "-u", "40", "--qps", "6", "-t", "90s", "-o", "60", "--server-metrics", "auto"]);
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });

async function open(options) {
  const context = await browser.newContext({ reducedMotion: "reduce", ...options });
  const page = await context.newPage();
  await page.goto(served.url);
  await page.locator("#field-users").waitFor({ state: "attached" });
  return page;
}

const picture = (page, name) => page.screenshot({ path: join(here, `web-${name}.png`) });
const grown = (page, beyond) =>
  page.waitForFunction((beyond) => Number(document.querySelector('[data-chart="rate"]').dataset.points) > beyond, beyond, { timeout: 120_000 });

const page = await open(wide);
await picture(page, "start");
await page.click("#form [type=submit]");
await grown(page, 12);
await page.fill("#load-qps", "9");
await page.click("#load [type=submit]");
await grown(page, 28);
await page.fill("#load-qps", "5");
await page.click("#load [type=submit]");
await grown(page, 45);
await picture(page, "run");
const dark = await open({ ...wide, colorScheme: "dark" });
await dark.locator("#tab-statistics").click();
await grown(dark, 46);
await picture(dark, "statistics");
const small = await open(phone);
await grown(small, 47);
await picture(small, "phone");
await page.click("#stop");
await page.locator('#phase[data-phase="idle"]').waitFor({ timeout: 60_000 });
await page.locator("#tab-trust").click();
await picture(page, "over");
await browser.close();
await served.end();
server.end();
