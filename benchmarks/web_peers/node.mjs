// One measurement in a Node process of its own. Arguments: a function of measure.mjs and its arguments, as JSON each.
// Prints JSON. Beside it lie the packages and models.
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { runInThisContext } from "node:vm";
import * as measure from "./measure.mjs";

// LiteRT.js is for browsers: it wants a worker's functions, and its script those of a CommonJS module.
globalThis.self = globalThis;
globalThis.require = createRequire(import.meta.url);
globalThis.__dirname = import.meta.dirname;
globalThis.importScripts = (path) => runInThisContext(readFileSync(path.replace("#.js", ""), "utf8"));

const base = new URL("./", import.meta.url);
const options = {
  base: base.href,
  ort: "onnxruntime-web",
  tfjs: "./peers/tfjs.node.js",
  read: (url) => readFile(new URL(url)),
  url: (bytes, path) => fileURLToPath(new URL(path, base)),
};
const [what, ...given] = process.argv.slice(2);
console.log(JSON.stringify(await measure[what](...given.map((text) => JSON.parse(text)), options)));
