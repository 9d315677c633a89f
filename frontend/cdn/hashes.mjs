// Writes src/peoplegraph/web/cdn.json: what the page without built assets loads, with the hashes of the locked packages.

import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";

const FILES = [
  ["style", "graphiql", "graphiql.min.css"],
  ["script", "react", "umd/react.production.min.js"],
  ["script", "react-dom", "umd/react-dom.production.min.js"],
  ["script", "graphiql", "graphiql.min.js"],
];

const files = FILES.map(([kind, name, path]) => {
  const at = (file) => new URL(`node_modules/${name}/${file}`, import.meta.url);
  const { version } = JSON.parse(readFileSync(at("package.json"), "utf8"));
  const hash = createHash("sha384").update(readFileSync(at(path))).digest("base64");
  return { kind, url: `https://unpkg.com/${name}@${version}/${path}`, integrity: `sha384-${hash}` };
});
const text = `${JSON.stringify(files, null, 2)}\n`;
if (process.argv[2] === "--print") {
  process.stdout.write(text);
} else {
  writeFileSync(new URL("../../src/peoplegraph/web/cdn.json", import.meta.url), text);
}
