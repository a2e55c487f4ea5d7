// A compiled model as one WebAssembly instance. The same for every model; needs nothing but WebAssembly itself, so
// that it runs in an AudioWorklet too.

const ARRAYS = {
  float32: Float32Array,
  int8: Int8Array,
  uint8: Uint8Array,
  int16: Int16Array,
  uint16: Uint16Array,
  int32: Int32Array,
  uint32: Uint32Array,
  int64: BigInt64Array,
  uint64: BigUint64Array,
  bool: Uint8Array,
  float64: Float64Array,
  // Bits, one element each; JavaScript has no arrays of these.
  float16: Uint16Array,
  bfloat16: Uint16Array,
  float8_e4m3fn: Uint8Array,
  float8_e4m3fnuz: Uint8Array,
  float8_e5m2: Uint8Array,
  float8_e5m2fnuz: Uint8Array,
  float8_e8m0fnu: Uint8Array,
  float4_e2m1fn: Uint8Array,
  int4: Int8Array,
  uint4: Uint8Array,
  int2: Int8Array,
  uint2: Uint8Array,
};

/** A compiled .wasm as a model with memory of its own, at once. `load` does not block the page. */
export function instantiate(module) {
  return new Model(module, new WebAssembly.Instance(module));
}

const has = (module, name) => WebAssembly.Module.customSections(module, name).length > 0;
const manifests = new WeakMap(); // by module: reading one takes as long as compiling it

/** The manifest inside a compiled .wasm. */
export function readManifest(module) {
  if (!manifests.has(module)) {
    const [section] = WebAssembly.Module.customSections(module, "tinycast");
    if (!section) {
      throw new Error("the .wasm was not made by tinycast");
    }
    if (has(module, "tinycast.weights") && !has(module, "tinycast.loaded")) {
      throw new Error("the .wasm is without its weights: load both files, source: [code, weights]");
    }
    // It is ASCII, and worklets have no TextDecoder. Functions do not take any number of arguments.
    let text = "";
    for (let start = 0; start < section.byteLength; start += 4096) {
      const part = new Uint8Array(section, start, Math.min(4096, section.byteLength - start));
      text += String.fromCharCode.apply(null, part);
    }
    manifests.set(module, JSON.parse(text));
  }
  return manifests.get(module);
}

/** The inputs and outputs of a model: shapes, types, and conversion of real numbers. */
export class Ports {
  constructor(manifest) {
    this.manifest = manifest;
    this.inputs = manifest.inputs;
    this.outputs = manifest.outputs;
  }

  /** Real numbers as elements of an input: rounded half to even, and clamped. */
  quantize(values, key = 0) {
    const port = this.#quantized(this.find("input", key));
    const elements = new ARRAYS[port.dtype](values.length);
    const [low, high] = limits(port.dtype);
    const scale = Math.fround(port.scale);
    for (let i = 0; i < values.length; ++i) {
      const steps = Math.fround(Math.fround(values[i]) / scale);
      let rounded = Math.round(steps);
      if (rounded - steps === 0.5 && rounded % 2 !== 0) {
        --rounded;
      }
      elements[i] = Math.min(Math.max(rounded + port.zero_point, low), high);
    }
    return elements;
  }

  /** Elements of an output as real numbers. */
  dequantize(elements, key = 0) {
    const { scale, zero_point } = this.#quantized(this.find("output", key));
    return Float32Array.from(elements, (element) => (element - zero_point) * Math.fround(scale));
  }

  /** The input or output (`kind`) with a name or an index. */
  find(kind, key) {
    const ports = this[`${kind}s`];
    const port = ports.find((candidate) => candidate.name === key || candidate.index === key);
    if (!port) {
      throw new RangeError(this.tell(`no ${kind} ${JSON.stringify(key)}; there are ${names(ports)}`));
    }
    return port;
  }

  /** What an error says. */
  tell(text) {
    return `${this.manifest.name}: ${text}`;
  }

  #quantized(port) {
    if (port.scale === null) {
      throw new TypeError(
        this.tell(`${JSON.stringify(port.name)} is not quantized: it holds ${port.dtype} as it is`),
      );
    }
    return port;
  }
}

/** One model with memory of its own. */
export class Model extends Ports {
  #exports;
  #stackTop;
  #views = {};
  #dims; // of the outputs whose size depends on data
  #results;

  constructor(module, instance) {
    super(readManifest(module));
    this.#exports = instance.exports;
    this.#stackTop = this.#exports.__stack_pointer.value;
    this.#check(this.#exports.init());
    // The memory cannot grow, so that a view stays good.
    for (const kind of ["input", "output"]) {
      this.#views[kind] = this[`${kind}s`].map((port) => {
        const elements = ARRAYS[port.dtype];
        const address = this.#exports[`${kind}_${port.index}`]();
        return new elements(this.#exports.memory.buffer, address, port.bytes / elements.BYTES_PER_ELEMENT);
      });
    }
    this.#dims = this.outputs.map((port) => {
      const address = this.#exports[`output_${port.index}_dims`]?.();
      return address && new Int32Array(this.#exports.memory.buffer, address, port.shape.length);
    });
    this.#results = this.#gather((view) => view);
  }

  /** The memory of an input, to write to before `run()`, which may overwrite it. */
  input(key = 0) {
    return this.#view("input", key);
  }

  /** The memory of an output, as long as it is after the last run. Its content holds until the next one. */
  output(key = 0) {
    return this.#real(this.#view("output", key), this.find("output", key).index);
  }

  /** The dimensions of an output: after each run its own where they depend on data. */
  dims(key = 0) {
    this.#live;
    const { index, shape } = this.find("output", key);
    return Array.from(this.#dims[index] ?? shape);
  }

  /**
   * Runs the model on one typed array, on an array of them, or on an object of them by name, and returns copies of
   * the outputs: one typed array, or an object of them by name where there are several outputs. Without an argument
   * it runs on what `input()` was given, copies nothing, and returns what `output()` does. An output whose size depends
   * on data is as long as it is, and has its dimensions as `dims`.
   */
  run(inputs) {
    const { run } = this.#live;
    if (inputs === undefined) {
      this.#invoke(run);
      return this.#dims.some(Boolean) ? this.#gather((view) => view) : this.#results;
    }
    for (const [port, values] of this.#pair(inputs)) {
      this.#views.input[port.index].set(values);
    }
    this.#invoke(run);
    return this.#gather((view) => view.slice());
  }

  /** Runs the first `count` layers only: how long that takes is a profile. */
  runLayers(count) {
    const { run_layers } = this.#live;
    this.#invoke(() => run_layers(count));
  }

  /** Forgets what the model keeps from one run to the next, if it keeps anything. */
  reset() {
    this.#live.reset();
  }

  /** The memory of this model: weights, activations and stack. */
  get memoryBytes() {
    return this.#live.memory.buffer.byteLength;
  }

  /** Lets the memory go; the model cannot be used after it. */
  dispose() {
    this.#exports = null;
    this.#views = this.#dims = this.#results = null;
  }

  get #live() {
    if (this.#exports === null) {
      throw new Error(this.tell("the model was disposed"));
    }
    return this.#exports;
  }

  #view(kind, key) {
    this.#live;
    return this.#views[kind][this.find(kind, key).index];
  }

  #gather(take) {
    const results = this.#views.output.map((view, index) => {
      const taken = take(this.#real(view, index));
      return this.#dims[index] ? Object.assign(taken, { dims: Array.from(this.#dims[index]) }) : taken;
    });
    return results.length === 1
      ? results[0]
      : Object.fromEntries(this.outputs.map((port) => [port.name, results[port.index]]));
  }

  /** The elements of an output that are there after the last run. */
  #real(view, index) {
    return this.#dims[index] ? view.subarray(0, this.#dims[index].reduce((a, b) => a * b, 1)) : view;
  }

  #invoke(task) {
    let status;
    try {
      status = task();
    } catch (error) {
      // A trap unwinds no stack of the module's own.
      this.#exports.__stack_pointer.value = this.#stackTop;
      this.#exports.reset();
      throw new Error(this.tell(`the run was stopped: ${error.message}; the model can be run again`), { cause: error });
    }
    this.#check(status);
  }

  #check(status) {
    if (status) {
      const what = status === 1 ? "this engine computes relaxed SIMD in another way; load another build" : "";
      throw new Error(this.tell(what || `the model returned error ${status}`));
    }
  }

  /** Each input with the values given for it, checked. */
  #pair(inputs) {
    let pairs;
    if (ArrayBuffer.isView(inputs) || typeof inputs?.[0] === "number") {
      pairs = [[0, inputs]];
    } else if (Array.isArray(inputs)) {
      pairs = [...inputs.entries()];
    } else {
      pairs = Object.entries(Object(inputs));
    }
    if (pairs.length !== this.inputs.length) {
      const wanted = `${this.inputs.length}: ${names(this.inputs)}`;
      throw new TypeError(this.tell(`${pairs.length} inputs given, the model has ${wanted}`));
    }
    return pairs.map(([key, values]) => {
      const port = this.find("input", key);
      this.#checkElements(port, values);
      return [port, values];
    });
  }

  #checkElements(port, values) {
    const wanted = ARRAYS[port.dtype];
    const given = values?.[Symbol.toStringTag] ?? typeof values;
    // Pixels of a canvas are clamped bytes.
    const type = given === "Uint8ClampedArray" ? "Uint8Array" : given;
    const length = port.bytes / wanted.BYTES_PER_ELEMENT;
    if (type !== wanted.name || values.length !== length) {
      const hint = port.scale !== null && given === "Float32Array" ? "; quantize() converts real numbers" : "";
      const found = ArrayBuffer.isView(values) ? `${given} of ${values.length}` : given;
      const what = `input ${JSON.stringify(port.name)} takes ${wanted.name} of ${length}`;
      throw new TypeError(this.tell(`${what}, got ${found}${hint}`));
    }
  }
}

function names(ports) {
  return ports.map((port) => JSON.stringify(port.name)).join(", ");
}

/** The least and the greatest value of an integer type. */
function limits(dtype) {
  const bits = dtype.replace(/\D+/, "");
  return dtype.startsWith("i") ? [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1] : [0, 2 ** bits - 1];
}
