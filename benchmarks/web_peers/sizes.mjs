// Prints the bytes of each file named: raw, gzip and brotli at their best, as a JSON list of lists.
import { readFileSync } from "node:fs";
import { brotliCompressSync, gzipSync } from "node:zlib";

const sizes = process.argv.slice(2).map((path) => {
  const content = readFileSync(path);
  return [content.length, gzipSync(content, { level: 9 }).length, brotliCompressSync(content).length];
});
console.log(JSON.stringify(sizes));
