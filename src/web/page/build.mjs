// Builds ../built, or the folder that is given: the live page's script, its style sheet, and the licence of what is in them.
// The same sources give the same bytes.

import { build } from "esbuild";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

const here = import.meta.dirname;
const target = process.argv[2] ?? join(here, "../built");
const uplot = join(here, "node_modules/uplot");

const { version } = JSON.parse(await readFile(join(uplot, "package.json"), "utf8"));
const credit = `/*! Holds uPlot ${version} (MIT), Copyright (c) Leon Sorokin; the licence is at /notices.txt. */`;

async function bundle(entry, out, banner) {
  await build({
    entryPoints: [join(here, "src", entry)],
    outfile: join(target, out),
    absWorkingDir: here,
    bundle: true,
    minify: true,
    charset: "ascii",
    format: "iife",
    target: ["es2022", "chrome123", "firefox120", "safari17.5"],
    legalComments: "none",
    banner,
    logLevel: "warning",
  });
}

await mkdir(target, { recursive: true });
await bundle("live.ts", "live.js", { js: credit });
await bundle("live.css", "live.css", {});
const licence = await readFile(join(uplot, "LICENSE"), "utf8");
await writeFile(join(target, "notices.txt"), `uPlot, version ${version}\n\n${licence.replaceAll("\r\n", "\n").trim()}\n`);
