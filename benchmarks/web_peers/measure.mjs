// Measures runtimes on one network, in a browser and in Node alike. `options`: `base`, the URL of the folder with all
// files; `read(url)`, which gives bytes; `url(bytes, path)`, where a runtime finds what was read from there; `ort` and
// `tfjs`, where these modules are.
import { RUNTIMES } from "./runtimes.mjs";

const WARM_UP = 10;
const WARM_UP_MS = 2000;
const ROUNDS = 100;
const BATCH_MS = 3;

/** Milliseconds to the first result, from nothing and from when all is fetched, and the memory that it takes. */
export async function measureStart(runtime, name, options) {
  const [sample] = await readSamples(name, options);
  const start = performance.now();
  const ready = await RUNTIMES[runtime](name, sample, options);
  const fetched = performance.now();
  const model = await ready();
  await model.run();
  const end = performance.now();
  return { fromNothing: end - start, fromFetched: end - fetched, memoryBytes: model.memoryBytes() };
}

/** Of each runtime what it makes of the samples, and microseconds a run: batches, one runtime after the other in turn. */
export async function measureLatency(runtimes, name, options) {
  const samples = await readSamples(name, options);
  const tasks = [];
  for (const runtime of runtimes) {
    const ready = await RUNTIMES[runtime](name, samples[0], options);
    const { run, infer } = await ready();
    const outputs = [];
    for (const sample of samples) {
      outputs.push(Array.from(await infer(sample)));
    }
    const start = performance.now();
    let count = 0;
    while (performance.now() - start < WARM_UP_MS || count < WARM_UP) {
      await run();
      ++count;
    }
    const runs = Math.max(1, Math.round((BATCH_MS * count) / (performance.now() - start)));
    tasks.push({ runtime, run, runs, outputs, times: [] });
  }
  for (let round = 0; round < ROUNDS; ++round) {
    for (const { run, runs, times } of tasks) {
      const start = performance.now();
      for (let i = 0; i < runs; ++i) {
        await run();
      }
      times.push((1000 * (performance.now() - start)) / runs);
    }
  }
  return Object.fromEntries(
    tasks.map(({ runtime, times, outputs }) => {
      times.sort((a, b) => a - b);
      return [runtime, { p10: times[Math.floor(ROUNDS / 10)], median: times[ROUNDS >> 1], outputs }];
    }),
  );
}

const ARRAYS = {
  bool: Uint8Array,
  float32: Float32Array,
  int32: Int32Array,
  int64: BigInt64Array,
  int8: Int8Array,
  uint8: Uint8Array,
};

/**
 * Inputs as the ONNX file has them (`elements`, `shape`), and as real numbers with the channels last; or, of networks
 * that not all runtimes take, `inputs` by name.
 */
async function readSamples(name, { base, read }) {
  const text = new TextDecoder().decode(await read(`${base}${name}.samples.json`));
  const { shape, channelsLast, quant, samples, frames } = JSON.parse(text);
  if (frames) {
    const typed = ({ type, shape, elements }) => {
      const values = type === "int64" ? elements.map(BigInt) : elements;
      return { type, shape, elements: ARRAYS[type].from(values) };
    };
    return frames.map((inputs) => ({
      inputs: Object.fromEntries(Object.entries(inputs).map(([name, given]) => [name, typed(given)])),
    }));
  }
  return samples.map((numbers) => {
    const elements = quant ? Int8Array.from(numbers) : Float32Array.from(numbers);
    const real = new Float32Array(elements.length);
    const [, channels, ...size] = shape;
    const places = size.reduce((a, b) => a * b, 1);
    elements.forEach((element, index) => {
      const value = quant ? (element - quant.zeroPoint) * quant.scale : element;
      real[(index % places) * channels + Math.floor(index / places)] = value;
    });
    return { elements, shape, real, channelsLast };
  });
}
