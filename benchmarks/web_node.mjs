// One measurement in a Node process of its own. Arguments: "latency" NAME, or "start" RUNTIME NAME. Prints JSON.
// Beside it lie the packages and models.
import { readFile } from "node:fs/promises";
import { measureLatency, measureStart } from "./web_measure.mjs";

const options = {
  base: new URL("./", import.meta.url).href,
  ort: "onnxruntime-web",
  ortWasm: "node_modules/onnxruntime-web/dist/ort-wasm-simd-threaded.wasm",
  read: (url) => readFile(new URL(url)),
};
const [what, ...names] = process.argv.slice(2);
console.log(JSON.stringify(await (what === "latency" ? measureLatency : measureStart)(...names, options)));
