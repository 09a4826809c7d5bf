// A program that serves its live page, and a browser that is told when the page does what it must not.

import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Starts `llmload run --web` with `words` in a folder of its own; `url` is its page. */
export async function serve(words) {
  const folder = await mkdtemp(join(tmpdir(), "llmload-web-"));
  const env = { PATH: process.env.PATH, HOME: folder, LLMLOAD_ALLOW_INVALID: "true", HF_HUB_OFFLINE: "1" };
  const program = spawn(process.env.LLMLOAD, ["run", "--web", "--web-port", "0", ...words], { cwd: folder, env, stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  const url = await new Promise((found, lost) => {
    program.stderr.on("data", (piece) => {
      said += piece;
      const url = /web page: (http:\S+)/.exec(said)?.[1];
      if (url) found(url);
    });
    program.on("exit", () => lost(new Error(said)));
  });
  const ended = new Promise((done) => program.on("exit", done));
  return {
    url,
    said: () => said,
    /** Ends it as Ctrl-C does; its exit status. */
    async end() {
      program.kill("SIGINT");
      const status = await ended;
      await rm(folder, { recursive: true });
      return status;
    },
  };
}

/** A page, and what went wrong on it so far. */
export async function visit(browser, url, options) {
  const context = await browser.newContext({ deviceScaleFactor: 1, reducedMotion: "reduce", acceptDownloads: true, ...options });
  const wrong = [];
  const { origin } = new URL(url);
  const page = await context.newPage();
  context.on("request", (request) => {
    const asked = request.url();
    if (!asked.startsWith(`${origin}/`) && !/^(data|blob):/.test(asked)) wrong.push(`asked for ${asked}`);
  });
  await context.route((asked) => asked.origin !== origin && /^https?:$/.test(asked.protocol), (route) => route.abort());
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type()) && !message.text().includes("status of 4")) wrong.push(`${message.type()}: ${message.text()}`);
  });
  page.on("pageerror", (error) => wrong.push(`uncaught: ${error.stack}`));
  await page.addInitScript(() => {
    window.violated = [];
    document.addEventListener("securitypolicyviolation", (event) => window.violated.push(`${event.violatedDirective}: ${event.blockedURI}`));
  });
  await page.goto(url);
  await page.locator("#field-users").waitFor({ state: "attached" });
  return {
    page,
    wrong: async () => [...wrong, ...(await page.evaluate(() => window.violated))],
    close: () => context.close(),
  };
}
