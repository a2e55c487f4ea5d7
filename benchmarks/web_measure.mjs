// Measures tinycast and onnxruntime-web on one network, in a browser and in Node alike.

const WARM_UP = 10;
const ROUNDS = 60;
const BATCH_MS = 3;

/** For each runtime: what fetches all that it needs, and gives what makes it ready to run: { run, memoryBytes }. */
const RUNTIMES = {
  async tinycast(name, { base, read }) {
    const { chooseBuild, load } = await import(`${base}${name}/${name}.js`);
    const build = chooseBuild().replace("wasm32", "").replace("-", ".");
    const source = await read(`${base}${name}/${name}${build}.wasm`);
    return async () => {
      const model = await load({ source });
      const input = model.input();
      const values = input.slice(); // a run may overwrite them
      const run = () => {
        input.set(values);
        return model.run();
      };
      return { run, memoryBytes: () => model.memoryBytes };
    };
  },
  async "onnxruntime-web"(name, { base, ort: path, ortWasm, read }) {
    const memoryBytes = countMemories();
    const ort = await import(path);
    ort.env.wasm.numThreads = 1;
    ort.env.wasm.wasmBinary = await read(base + ortWasm);
    ort.env.logLevel = "error";
    const model = await read(`${base}${name}.onnx`);
    return async () => {
      const session = await ort.InferenceSession.create(model, { executionProviders: ["wasm"] });
      const [{ name: input, type, shape }] = session.inputMetadata;
      const sizes = shape.map((size) => (typeof size === "number" ? size : 1));
      const array = type === "int8" ? Int8Array : Float32Array;
      const tensor = new ort.Tensor(type, new array(sizes.reduce((a, b) => a * b)), sizes);
      return { run: () => session.run({ [input]: tensor }), memoryBytes };
    };
  },
};

/** The bytes of all memories made from now on. */
function countMemories() {
  const memories = new Set();
  const { Memory, instantiate, instantiateStreaming } = WebAssembly;
  WebAssembly.Memory = class extends Memory {
    constructor(options) {
      super(options);
      memories.add(this);
    }
  };
  const noting = (make) => async (...all) => {
    const made = await make.apply(WebAssembly, all);
    Object.values((made.instance ?? made).exports).forEach((value) => value instanceof Memory && memories.add(value));
    return made;
  };
  WebAssembly.instantiate = noting(instantiate);
  WebAssembly.instantiateStreaming = noting(instantiateStreaming);
  return () => [...memories].reduce((sum, memory) => sum + memory.buffer.byteLength, 0);
}

/** Milliseconds to the first result, from nothing and from when all is fetched, and the memory that it takes. */
export async function measureStart(runtime, name, options) {
  const start = performance.now();
  const ready = await RUNTIMES[runtime](name, options);
  const fetched = performance.now();
  const model = await ready();
  await model.run();
  const end = performance.now();
  return { fromNothing: end - start, fromFetched: end - fetched, memoryBytes: model.memoryBytes() };
}

/** Microseconds a run, p10 and median, of each runtime: batches of runs, one runtime after the other in turn. */
export async function measureLatency(name, options) {
  const tasks = [];
  for (const runtime of Object.keys(RUNTIMES)) {
    const ready = await RUNTIMES[runtime](name, options);
    const { run } = await ready();
    const start = performance.now();
    let count = 0;
    while (performance.now() - start < 200 || count < WARM_UP) {
      await run();
      ++count;
    }
    const runs = Math.max(1, Math.round((BATCH_MS * count) / (performance.now() - start)));
    tasks.push({ runtime, run, runs, times: [] });
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
    tasks.map(({ runtime, times }) => {
      times.sort((a, b) => a - b);
      return [runtime, { p10: times[Math.floor(ROUNDS / 10)], median: times[ROUNDS >> 1] }];
    }),
  );
}
