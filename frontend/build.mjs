// Builds the pages' assets into src/peoplegraph/web/assets: file names with content hashes, compressed beforehand,
// and manifest.json, which says what each page loads.

import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { build } from "esbuild";
import { licences } from "./licences.mjs";
import { monacoUnderPolicy, smallerStyles } from "./plugins.mjs";
import { tabsOfReadme } from "./readme.mjs";

const HERE = dirname(fileURLToPath(import.meta.url));
const README = resolve(HERE, "../README.md");
const OUT = resolve(HERE, "../src/peoplegraph/web/assets");
const WORKERS = {
  editor: "monaco-editor/esm/vs/editor/editor.worker.js",
  graphql: "monaco-graphql/esm/graphql.worker.js",
  json: "monaco-editor/esm/vs/language/json/json.worker.js",
};
const PAGES = { graphiql: "src/graphiql/main.tsx", dashboard: "src/dashboard/main.ts" };

const common = {
  absWorkingDir: HERE,
  bundle: true,
  minify: true,
  metafile: true,
  write: false,
  outdir: OUT,
  target: ["chrome109", "firefox115", "safari16.4"],
  legalComments: "none", // licences.txt has them all
  define: { "process.env.NODE_ENV": '"production"', "process.env.NODE_DEBUG": "undefined" },
  logLevel: "warning",
  logOverride: { "commonjs-variable-in-esm": "silent" },
};

const workers = await build({
  ...common,
  entryPoints: Object.entries(WORKERS).map(([out, path]) => ({ in: path, out: `${out}.worker` })),
  entryNames: "[name]-[hash]",
  format: "iife",
});
const workerOf = Object.fromEntries(
  outputs(workers).map(({ file }) => [file.split(".")[0], file]),
);

const pages = await build({
  ...common,
  entryPoints: Object.entries(PAGES).map(([out, path]) => ({ in: path, out })),
  entryNames: "[name]-[hash]",
  chunkNames: "chunk-[hash]",
  assetNames: "[name]-[hash]",
  format: "esm",
  splitting: true,
  jsx: "automatic",
  define: {
    ...common.define,
    WORKERS: JSON.stringify(workerOf),
    README_TABS: JSON.stringify(tabsOfReadme(readFileSync(README, "utf8"))),
  },
  plugins: [monacoUnderPolicy(resolve(HERE, "src/monaco/policy.ts")), smallerStyles()],
});

const icon = readFileSync(join(HERE, "src/icon.svg"));
const iconFile = `icon-${createHash("sha256").update(icon).digest("hex").slice(0, 8).toUpperCase()}.svg`;
const manifest = { icon: iconFile, pages: {} };
for (const { file, about } of outputs(pages)) {
  const page = Object.keys(PAGES).find((name) => about.entryPoint === PAGES[name]);
  if (page) {
    manifest.pages[page] = {
      script: file,
      preload: about.imports.filter(({ kind }) => kind === "import-statement").map(({ path }) => nameOf(path)),
      styles: about.cssBundle ? [nameOf(about.cssBundle)] : [],
    };
  }
}

rmSync(OUT, { recursive: true, force: true });
mkdirSync(OUT, { recursive: true });
for (const file of [...workers.outputFiles, ...pages.outputFiles]) {
  keep(nameOf(file.path), file.contents);
}
keep(iconFile, icon);
copyFileSync(join(HERE, "src/dashboard/body.html"), join(OUT, "dashboard.html"));
writeFileSync(join(OUT, "licences.txt"), licences(HERE, [workers.metafile, pages.metafile]));
writeFileSync(join(OUT, "manifest.json"), `${JSON.stringify(manifest, null, 2)}\n`);
console.log(`${readdirSync(OUT).length} files in ${OUT}`);

/** Write a file, and beside it what it is compressed, where that is worth a request's while. */
function keep(name, contents) {
  writeFileSync(join(OUT, name), contents);
  if (contents.length < 1000 || name.endsWith(".woff2")) {
    return;
  }
  const brotli = { params: { [constants.BROTLI_PARAM_SIZE_HINT]: contents.length } };
  writeFileSync(join(OUT, `${name}.br`), brotliCompressSync(contents, brotli));
  writeFileSync(join(OUT, `${name}.gz`), gzipSync(contents, { level: 9 }));
}

function outputs(result) {
  return Object.entries(result.metafile.outputs).map(([path, about]) => ({ file: nameOf(path), about }));
}

function nameOf(path) {
  return path.split(/[\\/]/).pop();
}
