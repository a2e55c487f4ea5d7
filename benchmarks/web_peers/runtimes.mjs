// The runtimes that are measured. Each fetches all that it needs for a network, and gives what makes it ready to run:
// `run()` runs on the sample, `infer(sample)` gives all elements of the output, `memoryBytes()` the memory of the engine.
// Samples are as the ONNX file takes them.

export const RUNTIMES = {
  async tinycast(name, sample, { base, read }) {
    const { chooseBuild, load } = await import(`${base}${name}/${name}.js`);
    const build = chooseBuild().replace("wasm32", "").replace("-", ".");
    const source = await read(`${base}${name}/${name}${build}.wasm`);
    return async () => {
      const model = await load({ source });
      if (sample.inputs) {
        const infer = ({ inputs }) => {
          const arrays = Object.entries(inputs).map(([name, { elements }]) => [name, elements]);
          const outputs = model.run(arrays.length > 1 ? Object.fromEntries(arrays) : arrays[0][1]);
          return ArrayBuffer.isView(outputs) ? outputs : Object.values(outputs)[0];
        };
        return { run: () => infer(sample), infer, memoryBytes: () => model.memoryBytes };
      }
      const input = model.input();
      const run = () => {
        input.set(sample.elements); // a run may overwrite them
        return model.run();
      };
      const infer = ({ elements }) => model.run(elements);
      return { run, infer, memoryBytes: () => model.memoryBytes };
    };
  },

  async "onnxruntime-web"(name, sample, { base, read, ort: path }) {
    const memoryBytes = countMemories();
    const ort = await import(path);
    ort.env.wasm.numThreads = 1;
    ort.env.wasm.wasmBinary = await read(`${base}peers/ort-wasm-simd-threaded.wasm`);
    ort.env.logLevel = "error";
    const model = await read(`${base}${name}.onnx`);
    return async () => {
      const session = await ort.InferenceSession.create(model, { executionProviders: ["wasm"] });
      const [{ name: input, type }] = session.inputMetadata;
      const feedsOf = ({ inputs, elements, shape }) =>
        Object.fromEntries(
          Object.entries(inputs ?? { [input]: { type, elements, shape } }).map(([name, given]) => [
            name,
            new ort.Tensor(given.type, given.elements, given.shape),
          ]),
        );
      const feeds = feedsOf(sample);
      const infer = async (other) => (await session.run(feedsOf(other)))[session.outputNames[0]].data;
      return { run: () => session.run(feeds), infer, memoryBytes };
    };
  },

  "LiteRT.js": (...all) => startLiteRt("litert_wasm_internal", ...all),
  "LiteRT.js compat": (...all) => startLiteRt("litert_wasm_compat_internal", ...all),

  async "TensorFlow.js"(name, sample, { base, read, url, tfjs: path }) {
    const memoryBytes = countMemories();
    const tf = await import(path);
    const [topology, weights, wasm] = await Promise.all(
      [`${name}.tfjs.json`, `${name}.tfjs.bin`, "peers/tfjs-backend-wasm-simd.wasm"].map((file) => read(base + file)),
    );
    const wasmUrl = url(wasm, "peers/tfjs-backend-wasm-simd.wasm");
    return async () => {
      tf.env().set("WASM_HAS_MULTITHREAD_SUPPORT", false);
      tf.setWasmPaths(Object.fromEntries(["", "-simd", "-threaded-simd"].map((kind) => [`tfjs-backend-wasm${kind}.wasm`, wasmUrl])));
      await tf.setBackend("wasm");
      const artifacts = { ...JSON.parse(new TextDecoder().decode(topology)), weightData: weights.buffer };
      const model = await tf.loadGraphModel(tf.io.fromMemory(artifacts));
      const tensorOf = (given) => tf.tensor(Float32Array.from(given.real), given.channelsLast);
      const tensor = tensorOf(sample);
      const infer = (other) => tf.tidy(() => model.predict(tensorOf(other)).dataSync());
      return { run: () => tf.tidy(() => void model.predict(tensor)), infer, memoryBytes };
    };
  },
};

async function startLiteRt(file, name, sample, { base, read, url }) {
  const memoryBytes = countMemories();
  // A module for each build: it keeps the one runtime that it started.
  const litert = await import(`${base}peers/litert.js?${file}`);
  const [script, wasmBinary, model] = await Promise.all(
    [`peers/${file}.js`, `peers/${file}.wasm`, `${name}.tflite`].map((path) => read(base + path)),
  );
  const scriptUrl = url(script, `peers/${file}.js`);
  return async () => {
    globalThis.Module = { wasmBinary, printErr() {} };
    await litert.loadLiteRt(`${scriptUrl}#.js`);
    const compiled = await litert.loadAndCompile(model, { accelerator: "wasm" });
    const tensorOf = (given) => new litert.Tensor(Float32Array.from(given.real), given.channelsLast);
    const tensor = tensorOf(sample);
    const run = async () => {
      const [output] = await compiled.run([tensor]);
      output.delete();
    };
    const infer = async (other) => {
      const [output] = await compiled.run([tensorOf(other)]);
      return output.toTypedArray().slice();
    };
    return { run, infer, memoryBytes };
  };
}

/** The bytes of all memories made from now on. */
function countMemories() {
  const memories = new Set();
  const { Memory, instantiate, instantiateStreaming } = WebAssembly;
  const note = (instance) =>
    Object.values(instance.exports).forEach((value) => value instanceof Memory && memories.add(value));
  WebAssembly.Memory = class extends Memory {
    constructor(options) {
      super(options);
      memories.add(this);
    }
  };
  const noting = (make) => async (...all) => {
    const made = await make.apply(WebAssembly, all);
    note(made.instance ?? made);
    return made;
  };
  WebAssembly.instantiate = noting(instantiate);
  WebAssembly.instantiateStreaming = noting(instantiateStreaming);
  return () => [...memories].reduce((sum, memory) => sum + memory.buffer.byteLength, 0);
}
