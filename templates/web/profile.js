
// Time of a run, and of each layer. A browser's clock is coarse (0.1 ms), so that what is timed is many runs.

const SLICE_MS = 8;
const LATENCY_MS = 400;
const LAYERS_MS = 3000;
const FEWEST_ROUNDS = 3;

const pause = () => new Promise((resolve) => setTimeout(resolve));

/** Milliseconds a call takes, from as many calls as fill a slice of time. */
function timeOf(task) {
  let calls = 0;
  const start = performance.now();
  let elapsed = 0;
  for (let batch = 1; elapsed < SLICE_MS; batch *= 2) {
    for (let i = 0; i < batch; ++i) {
      task();
    }
    calls += batch;
    elapsed = performance.now() - start;
  }
  return elapsed / calls;
}

/** The median milliseconds of a run. */
async function measureLatency(model) {
  const times = [];
  for (const end = performance.now() + LATENCY_MS; performance.now() < end || times.length < 5; ) {
    times.push(timeOf(() => model.run()));
    await pause();
  }
  return median(times);
}

/** Milliseconds of each layer: what the first n + 1 layers take more than the first n. */
async function measureLayers(model, count) {
  const times = Array.from({ length: count + 1 }, () => []);
  for (const end = performance.now() + LAYERS_MS; performance.now() < end || times[count].length < FEWEST_ROUNDS; ) {
    for (let layers = 0; layers <= count; ++layers) {
      times[layers].push(timeOf(() => model.runLayers(layers)));
      await pause();
    }
  }
  // Whatever else the machine does only adds to a time: the least one is that of the layers, and more of them take no
  // less. So the differences add up to the time of all.
  let least = Infinity;
  const ends = times.map((list) => Math.min(...list)).reverse().map((time) => (least = Math.min(least, time))).reverse();
  return Array.from({ length: count }, (_, layer) => ends[layer + 1] - ends[layer]);
}

function median(numbers) {
  return numbers.sort((a, b) => a - b)[numbers.length >> 1];
}
