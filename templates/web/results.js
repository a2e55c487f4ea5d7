
// What the model says: classes as bars, long outputs as a line, a single number as itself.

const MOST_BARS = 12;
const MOST_CLASSES = 2000;
const CLASSES = 64;

/** Probabilities of an output: itself if that is what it holds, else its softmax. */
function probabilities(values) {
  const sum = values.reduce((a, b) => a + b, 0);
  if (values.every((value) => value >= -1e-6 && value <= 1 + 1e-6) && Math.abs(sum - 1) < 0.05) {
    return { shares: values, isSoftmax: false };
  }
  const most = Math.max(...values);
  const powers = values.map((value) => Math.exp(value - most));
  const total = powers.reduce((a, b) => a + b, 0);
  return { shares: powers.map((power) => power / total), isSoftmax: true };
}

/** The indices of the greatest values, in order of index where all of them are shown. */
function ranked(values) {
  const order = Array.from(values.keys());
  return values.length <= MOST_BARS ? order : order.sort((a, b) => values[b] - values[a]).slice(0, MOST_BARS);
}

/** A panel for one output; `update(values)` takes real numbers, `clear()` none. `nameOf(index)` names a class. */
function makeOutput(port, nameOf) {
  const count = size(port.shape);
  const legend = make("p", { className: "note" }, `${port.name}: ${port.dtype} ${port.shape.join(" × ")}`);
  const strong = make("strong", {}, "–");
  const detail = make("span", { className: "note" });
  const answer = make("p", { className: "answer", role: "status", "aria-live": "polite" }, strong, detail);
  const isClasses = !port.dynamic_axes.length && count > 1 && count <= MOST_CLASSES && count === Math.max(...port.shape) && (count <= CLASSES || count === 1000);
  const tell = (text, more) => {
    if (strong.textContent !== text) {
      strong.textContent = text;
    }
    answer.classList.toggle("long", text.length > 4);
    detail.textContent = more;
  };
  if (!isClasses) {
    const wave = makeWave(`Values of ${port.name}`);
    const list = make("p", { className: "note" });
    const update = (values) => {
      const mean = values.reduce((a, b) => a + b, 0) / values.length;
      const { length } = values; // less than the count where the size depends on data
      tell(length ? mean.toPrecision(4) : "–", length === 1 ? "" : `mean of ${length} values`);
      wave.update(values);
      list.textContent = `${Array.from(values.slice(0, 16), (value) => value.toPrecision(4)).join("  ")}${length > 16 ? "  …" : ""}`;
    };
    const clear = () => {
      tell("–", "waiting for an input");
      list.textContent = "";
    };
    return { element: make("div", {}, answer, ...(count < 8 ? [] : [wave.svg]), list, legend), update, clear };
  }

  const body = make("tbody");
  const rows = Array.from({ length: Math.min(count, MOST_BARS) }, () => {
    const row = { name: make("th", { scope: "row" }), bar: make("i"), share: make("td") };
    row.element = make("tr", {}, row.name, make("td", {}, make("div", { className: "bar" }, row.bar)), row.share);
    body.append(row.element);
    return row;
  });
  const head = ["Class", "", "Share"].map((text) => make("th", { scope: "col", textContent: text }));
  const table = make("table", { className: "scores" }, make("thead", {}, make("tr", {}, ...head)), body);
  const update = (values) => {
    const { shares, isSoftmax } = probabilities(values);
    const best = shares.indexOf(Math.max(...shares));
    tell(nameOf(best), `${(100 * shares[best]).toFixed(1)} %${isSoftmax ? " by softmax" : ""}`);
    ranked(shares).forEach((index, place) => {
      const row = rows[place];
      row.name.textContent = nameOf(index);
      row.bar.style.width = `${100 * shares[index]}%`;
      row.share.textContent = `${(100 * shares[index]).toFixed(1)} %`;
      row.element.classList.toggle("best", index === best);
    });
  };
  const clear = () => {
    tell("–", "waiting for an input");
    for (const [index, row] of rows.entries()) {
      row.name.textContent = count <= MOST_BARS ? nameOf(index) : "";
      row.bar.style.width = 0;
      row.share.textContent = "";
      row.element.classList.remove("best");
    }
  };
  return { element: make("div", {}, answer, table, legend), update, clear, hasClasses: true };
}
