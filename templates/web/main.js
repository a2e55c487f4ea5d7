
// The page: panels for inputs and outputs, a run at each change, and what it takes.

const LAYERS = {{ layers | tojson }};
const byId = (id) => document.getElementById(id);

const MOST_LAYERS = 24;
const QUICK_MS = 8;

/** A time of three digits, in the unit that fits. */
function showTime(milliseconds) {
  const [factor, unit] = milliseconds < 1e-3 ? [1e6, "ns"] : milliseconds < 1 ? [1e3, "µs"] : milliseconds < 1e3 ? [1, "ms"] : [1e-3, "s"];
  const digits = 2 - Math.floor(Math.log10(Math.max(1, milliseconds * factor)));
  return `${(milliseconds * factor).toFixed(Math.max(0, digits))} ${unit}`;
}

function showBytes(count) {
  const kibibytes = count / 1024;
  return kibibytes < 10240 ? `${kibibytes} KiB` : `${(kibibytes / 1024).toFixed(1)} MiB`;
}

/** The end of a name of many parts, which says most. */
function shorten(name) {
  const end = name.split("/").slice(-2).join("/");
  return end.length > 40 ? `…${end.slice(-40)}` : end;
}

/** A row for each layer with its share of the time; of many layers for the slowest only, until asked for all. */
function showLayers(times, isAll = LAYERS.length <= 1.5 * MOST_LAYERS) {
  const total = times.reduce((a, b) => a + b, 0) || 1;
  const [, most] = extent([1e-9, ...times]);
  const [factor, unit] = total < 10 ? [1000, "µs"] : [1, "ms"];
  byId("unit").textContent = unit;
  const slowest = [...times.keys()].sort((a, b) => times[b] - times[a]).slice(0, isAll ? times.length : MOST_LAYERS);
  byId("all-layers").hidden = isAll;
  byId("all-layers").textContent = `Show all ${LAYERS.length} layers, not only the slowest`;
  byId("all-layers").onclick = () => showLayers(times, true);
  byId("layers").tBodies[0].replaceChildren(
    ...slowest.sort((a, b) => a - b).map((index) => {
      const { name, op } = LAYERS[index];
      const bar = make("i");
      bar.style.width = `${(100 * times[index]) / most}%`;
      const share = `${((100 * times[index]) / total).toFixed(0)} %`;
      const cell = make("td", { title: share }, make("div", { className: "bar", role: "img", "aria-label": share }, bar));
      return make(
        "tr",
        {},
        // Names of fused operators may break after each plus.
        make("th", { scope: "row" }, op.replaceAll("QuantizeLinear", "Quantize").replaceAll("+", "+\u200b"), make("small", { title: name }, shorten(name))),
        cell,
        make("td", {}, (factor * times[index]).toFixed(times[index] > 0 && factor * times[index] < 0.1 ? 3 : 1)),
      );
    }),
  );
}

/** Measures with a model of its own, so that nobody's input is overwritten. */
async function measure() {
  byId("measure").disabled = true;
  const model = await load();
  try {
    byId("latency").textContent = showTime(await measureLatency(model));
    showLayers(await measureLayers(model, LAYERS.length));
    // Again, since by now the engine has optimized the code.
    byId("latency").textContent = showTime(await measureLatency(model));
  } catch (error) {
    byId("latency").textContent = "–";
    tellProblem(`Time cannot be measured on inputs of zeros: ${error.message}`);
  }
  model.dispose();
  byId("measure").disabled = false;
}

/** Shows what went wrong; nothing, if nothing did. */
function tellProblem(text) {
  byId("problem").textContent = text;
  byId("problem").hidden = text === "";
}

async function start() {
  const model = await load();
  byId("memory").textContent = showBytes(model.memoryBytes);
  const names = make("textarea", { rows: 6, "aria-label": "Names of the classes, one a line", placeholder: "one name a line" });
  const nameOf = (index, port) => names.value.split("\n")[index]?.trim() || port.classes?.[index] || String(index);
  const outputs = model.outputs.map((port) => makeOutput(port, nameOf));
  const values = model.inputs.map(() => null);
  const runs = make("p", { className: "note", role: "status" });
  let [count, waiting, lastMs] = [0, false, 0];

  /** Runs at once; a slow model with the next frame, on what its inputs are by then. */
  function runSoon() {
    if (lastMs < QUICK_MS) {
      run();
    } else if (!waiting) {
      waiting = true;
      requestAnimationFrame(() => {
        waiting = false;
        run();
      });
    }
  }

  function show() {
    outputs.forEach(({ update }, index) => update(toReal(model, model.outputs[index], model.output(index))));
  }

  function clear() {
    outputs.forEach((output) => output.clear());
  }

  function run() {
    if (values.includes(null)) {
      clear();
      return;
    }
    try {
      const elements = model.inputs.map((port) => toElements(model, port, values[port.index]));
      const start = performance.now();
      model.run(elements);
      lastMs = performance.now() - start;
      runs.textContent = `${++count} run${count === 1 ? "" : "s"} since the start: the model keeps a state from one to the next.`;
      show();
      tellProblem("");
    } catch (error) {
      tellProblem(error.message);
    }
  }
  const isStream = model.manifest.states.length > 0;
  const inputs = model.inputs.map((port) =>
    makeInput(port, isStream, (changed) => {
      values[port.index] = changed;
      runSoon();
    }),
  );
  const forget = () => {
    model.reset();
    count = 0;
    runs.textContent = "The model has forgotten all runs.";
    clear();
  };
  const again = make("button", { type: "button", onclick: run }, "Run again");
  const state = make("div", { className: "state" }, make("div", { className: "row" }, again, make("button", { type: "button", onclick: forget }, "Start over")), runs);
  state.hidden = !isStream;
  names.oninput = () => (count === 0 || values.includes(null) ? clear() : show());
  const naming = make("details", {}, make("summary", {}, "Name the classes"), names);
  naming.hidden = !outputs.some(({ lacksNames }) => lacksNames);
  byId("inputs").append(...inputs.map(({ element }) => element), state);
  byId("outputs").append(...outputs.map(({ element }) => element), naming);
  inputs.forEach((input) => input.start());
  byId("measure").onclick = measure;
  await measure();
}

// A picture dropped beside its place would take the page's.
for (const event of ["dragover", "drop"]) {
  addEventListener(event, (dropped) => dropped.preventDefault());
}
start().catch((error) => tellProblem(error.message));
