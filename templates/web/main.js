
// The page: panels for inputs and outputs, a run at each change, and what it takes.

const LAYERS = {{ layers | tojson }};
const byId = (id) => document.getElementById(id);

function showTime(milliseconds) {
  return milliseconds < 1 ? `${(1000 * milliseconds).toPrecision(3)} µs` : `${milliseconds.toPrecision(3)} ms`;
}

/** A row for each layer, with its share of the time. */
function showLayers(times) {
  const total = times.reduce((a, b) => a + b, 0) || 1;
  const most = Math.max(...times) || 1;
  byId("layers").tBodies[0].replaceChildren(
    ...LAYERS.map(({ name, op }, index) => {
      const bar = make("i");
      bar.style.width = `${(100 * times[index]) / most}%`;
      const share = `${((100 * times[index]) / total).toFixed(0)} %`;
      const cell = make("td", { title: share }, make("div", { className: "bar", role: "img", "aria-label": share }, bar));
      return make(
        "tr",
        {},
        // Names of fused operators may break after each plus.
        make("th", { scope: "row" }, op.replaceAll("QuantizeLinear", "Quantize").replaceAll("+", "+\u200b"), make("small", {}, name)),
        cell,
        make("td", {}, (1000 * times[index]).toFixed(1)),
      );
    }),
  );
}

/** Measures with a model of its own, so that nobody's input is overwritten. */
async function measure() {
  byId("measure").disabled = true;
  const model = await load();
  // Layers first: by then the engine has optimized the code.
  showLayers(await measureLayers(model, LAYERS.length));
  byId("latency").textContent = showTime(await measureLatency(model));
  model.dispose();
  byId("measure").disabled = false;
}

async function start() {
  const model = await load();
  byId("memory").textContent = `${model.memoryBytes / 1024} KiB`;
  const names = make("textarea", { "aria-label": "Names of the classes, one a line", placeholder: "one name a line" });
  const nameOf = (index) => names.value.split("\n")[index]?.trim() || String(index);
  const outputs = model.outputs.map((port) => makeOutput(port, nameOf));
  const values = model.inputs.map(() => null);

  function run() {
    if (values.includes(null)) {
      outputs.forEach(({ clear }) => clear());
      return;
    }
    try {
      const elements = model.inputs.map((port) => toElements(model, port, values[port.index]));
      model.run(elements);
      outputs.forEach(({ update }, index) => update(toReal(model, model.outputs[index], model.output(index))));
      byId("problem").hidden = true;
    } catch (error) {
      byId("problem").textContent = error.message;
      byId("problem").hidden = false;
    }
  }
  const inputs = model.inputs.map((port) =>
    makeInput(port, (changed) => {
      values[port.index] = changed;
      run();
    }),
  );
  names.oninput = run;
  const naming = make("details", {}, make("summary", {}, "Name the classes"), names);
  naming.hidden = !outputs.some(({ hasClasses }) => hasClasses);
  byId("inputs").append(...inputs.map(({ element }) => element));
  byId("outputs").append(...outputs.map(({ element }) => element), naming);
  inputs.forEach((input) => input.start());
  byId("measure").onclick = measure;
  await measure();
}

start().catch((error) => {
  byId("problem").textContent = error.message;
  byId("problem").hidden = false;
});
