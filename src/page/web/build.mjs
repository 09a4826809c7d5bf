// Builds ../built, or the folder that is given: the page's script, its style sheet, and the licences of what is in them.
// The same sources give the same bytes.

import { build } from "esbuild";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

const here = import.meta.dirname;
const target = process.argv[2] ?? join(here, "../built");
const modules = join(here, "node_modules");

const PARTS = [
  ["Apache ECharts", "echarts", ["NOTICE", "LICENSE"]],
  ["d3 (parts of it in Apache ECharts)", "echarts", ["licenses/LICENSE-d3"]],
  ["ZRender", "zrender", ["LICENSE"]],
  ["tslib", "tslib", ["LICENSE.txt"]],
];

const credit = `/*! Holds Apache ECharts ${await version("echarts")} (Apache-2.0), Copyright 2017-2026 The Apache Software Foundation, `
  + `with ZRender ${await version("zrender")} (BSD-3-Clause), Copyright (c) 2017, Baidu Inc.; the licences are in the page's foot. */`;

async function version(name) {
  return JSON.parse(await readFile(join(modules, name, "package.json"), "utf8")).version;
}

async function licences() {
  const parts = PARTS.map(async ([title, name, files]) => {
    const texts = await Promise.all(files.map((file) => readFile(join(modules, name, file), "utf8")));
    const body = texts.map((text) => text.replaceAll("\r\n", "\n").trim()).join("\n\n");
    return `${title}, version ${await version(name)}\n\n${body}\n`;
  });
  return (await Promise.all(parts)).join(`\n${"-".repeat(72)}\n\n`);
}

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
    define: { "process.env.NODE_ENV": '"production"', __DEV__: "false" },
    legalComments: "none",
    banner,
    logLevel: "warning",
  });
}

await mkdir(target, { recursive: true });
await bundle("page.ts", "page.js", { js: credit });
await bundle("page.css", "page.css", {});
await writeFile(join(target, "notices.txt"), await licences());
