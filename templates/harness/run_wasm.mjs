// Runs model.wasm on every sample of inputs.bin, in the working directory; ports.json has the number
// of samples, the bytes of each port, and of the real dimensions of outputs (0 where they are fixed).
import { readFileSync, writeFileSync } from "node:fs";

const ports = JSON.parse(readFileSync("ports.json", "utf8"));
const inputs = readFileSync("inputs.bin");
const { instance } = await WebAssembly.instantiate(readFileSync("model.wasm"));
const { exports } = instance;
const outputs = [];

if (exports.init() !== 0) {
  throw new Error("init failed");
}
let position = 0;
for (let sample = 0; sample < ports.samples; sample++) {
  ports.inputs.forEach((bytes, index) => {
    const source = inputs.subarray(position, position + bytes);
    new Uint8Array(exports.memory.buffer, exports[`input_${index}`](), bytes).set(source);
    position += bytes;
  });
  if (exports.run() !== 0) {
    throw new Error("run failed");
  }
  ports.outputs.forEach((bytes, index) => {
    outputs.push(new Uint8Array(exports.memory.buffer, exports[`output_${index}`](), bytes).slice());
    if (ports.dims[index]) {
      outputs.push(new Uint8Array(exports.memory.buffer, exports[`output_${index}_dims`](), ports.dims[index]).slice());
    }
  });
}
writeFileSync("outputs.bin", Buffer.concat(outputs));
