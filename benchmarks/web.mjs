// Times tinycast and onnxruntime-web on the same models, one run of each in turn. Arguments: a folder with
// <model>.wasm and <model>.onnx, model names. Prints JSON: microseconds, p10 and median, by model and runtime.
import { readFile } from "node:fs/promises";
import * as ort from "onnxruntime-web";

const WARM_UP = 50;
const TIMES = 300;
const [folder, ...names] = process.argv.slice(2);
ort.env.wasm.numThreads = 1;
ort.env.logLevel = "error";

async function tinycast(name) {
  const { instance } = await WebAssembly.instantiate(await readFile(`${folder}/${name}.wasm`));
  instance.exports.init();
  return async () => instance.exports.run();
}

async function onnxruntime(name) {
  const session = await ort.InferenceSession.create(await readFile(`${folder}/${name}.onnx`), {
    executionProviders: ["wasm"],
  });
  const [{ name: input, type, shape }] = session.inputMetadata;
  const sizes = shape.map((size) => (typeof size === "number" ? size : 1));
  const array = type === "int8" ? Int8Array : Float32Array;
  const tensor = new ort.Tensor(type, new array(sizes.reduce((a, b) => a * b)), sizes);
  return async () => session.run({ [input]: tensor });
}

const result = {};
for (const name of names) {
  const tasks = { tinycast: await tinycast(name), "onnxruntime-web": await onnxruntime(name) };
  const times = Object.fromEntries(Object.keys(tasks).map((key) => [key, []]));
  for (let i = 0; i < WARM_UP + TIMES; ++i) {
    for (const [key, task] of Object.entries(tasks)) {
      const start = performance.now();
      await task();
      times[key].push(1000 * (performance.now() - start));
    }
  }
  result[name] = Object.fromEntries(
    Object.entries(times).map(([key, list]) => {
      const sorted = list.slice(WARM_UP).sort((a, b) => a - b);
      return [key, { p10: sorted[Math.floor(TIMES / 10)], median: sorted[TIMES >> 1] }];
    }),
  );
}
console.log(JSON.stringify(result));
