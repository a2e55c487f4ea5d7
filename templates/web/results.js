
// What the model says: classes as bars, pictures as pictures, long outputs as a line, a single number as itself.

const MOST_BARS = 12;
const MOST_LISTED = 16;
const FEW = 4;
// Outputs of so many numbers are taken for scores of classes: few, or as many as no layer has for its width. Those of
// ImageNet are an exception.
const isCountOfClasses = (count) => count <= 64 || count === 1000 || (count <= 1001 && count % 8 !== 0);

/** Probabilities of an output: itself if that is what it holds, else its softmax. */
function probabilities(values) {
  const sum = values.reduce((a, b) => a + b, 0);
  if (values.every((value) => value >= -1e-6 && value <= 1 + 1e-6) && Math.abs(sum - 1) < 0.05) {
    return { shares: values, isSoftmax: false };
  }
  const [, most] = extent(values);
  const powers = values.map((value) => Math.exp(value - most));
  const total = powers.reduce((a, b) => a + b, 0);
  return { shares: powers.map((power) => power / total), isSoftmax: true };
}

/** The indices of the greatest values, in order of index where all of them are shown. */
function ranked(values) {
  const order = Array.from(values.keys());
  return values.length <= MOST_BARS ? order : order.sort((a, b) => values[b] - values[a]).slice(0, MOST_BARS);
}

/** A panel for one output; `update(values)` takes real numbers, `clear()` none. `nameOf(index, port)` names a class. */
function makeOutput(port, nameOf) {
  const strong = make("strong", { role: "status" }, "–");
  const detail = make("span", { className: "note" });
  const answer = make("p", { className: "answer" }, strong, detail);
  const tell = (text, more) => {
    if (strong.textContent !== text) {
      strong.textContent = text;
    }
    answer.classList.toggle("long", text.length > 4);
    detail.textContent = more;
  };
  const { rest, update, clear, lacksNames } = isScores(port) ? makeScores(port, nameOf, tell) : makeValues(port, nameOf, tell);
  const element = make("section", { className: "output" }, make("h3", {}, describe(port)), answer, ...rest);
  return {
    element,
    update,
    clear: () => {
      tell("–", "waiting for an input");
      clear();
    },
    lacksNames,
  };
}

/** Whether an output has a score for each class. */
function isScores(port) {
  const count = size(port.shape);
  const isList = count > 1 && count === Math.max(...port.shape) && !port.dynamic_axes.length && !isInteger(port);
  return isList && (port.classes !== undefined || isCountOfClasses(count));
}

/** What an output shows of numbers that are no scores; `tell(text, more)` shows the answer. */
function makeValues(port, nameOf, tell) {
  const wave = makeWave(`Values of ${port.name}`);
  const list = make("p", { className: "note" });
  const picture = port.dynamic_axes.length ? null : pictureShape(port.shape);
  const canvas = make("canvas", { className: "picture", role: "img", "aria-label": `${port.name} as a picture`, hidden: true });
  const show = (value) => (isInteger(port) ? String(value) : value.toPrecision(4));
  const update = (values) => {
    const { length } = values; // less than the count where the size depends on data
    if (length > 0 && length <= FEW) {
      tell(Array.from(values, (value) => (port.classes ? nameOf(value, port) : show(value))).join(", "), "");
      list.textContent = "";
      return;
    }
    const mean = values.reduce((a, b) => a + b, 0) / length;
    tell(length ? mean.toPrecision(4) : "–", length ? `mean of ${length} values` : "no values");
    list.textContent = `${Array.from(values.slice(0, MOST_LISTED), show).join(", ")}${length > MOST_LISTED ? ", …" : ""}`;
    if (picture) {
      const { pixels, black, white } = pixelsOf(values, picture);
      showPixels(canvas, pixels, picture, false);
      canvas.hidden = false;
      list.textContent = `Black is ${show(black)}, white ${show(white)}.`;
    } else {
      wave.update(values);
    }
  };
  const clear = () => {
    list.textContent = "";
    canvas.hidden = true;
    wave.update([]);
  };
  const chart = picture ? [canvas] : size(port.shape) < 8 ? [] : [wave.svg];
  return { rest: [...chart, list], update, clear };
}

/** What an output shows of scores: a bar for each class, or for the best. */
function makeScores(port, nameOf, tell) {
  const count = size(port.shape);
  const body = make("tbody");
  const rows = Array.from({ length: Math.min(count, MOST_BARS) }, () => {
    const row = { name: make("th", { scope: "row" }), bar: make("i"), share: make("td") };
    row.element = make("tr", {}, row.name, make("td", {}, make("div", { className: "bar" }, row.bar)), row.share);
    body.append(row.element);
    return row;
  });
  const [first, last] = ["Class", "Share"].map((text) => make("th", { scope: "col", textContent: text }));
  const table = make("table", { className: "scores" }, make("thead", {}, make("tr", {}, first, make("td"), last)), body);
  const update = (values) => {
    const { shares, isSoftmax } = probabilities(values);
    const best = shares.indexOf(Math.max(...shares));
    tell(nameOf(best, port), `${(100 * shares[best]).toFixed(1)} %${isSoftmax ? " by softmax" : ""}`);
    ranked(shares).forEach((index, place) => {
      const row = rows[place];
      row.element.hidden = false;
      row.name.textContent = row.name.title = nameOf(index, port);
      row.bar.style.width = `${100 * shares[index]}%`;
      row.share.textContent = `${(100 * shares[index]).toFixed(1)} %`;
      row.element.classList.toggle("best", index === best);
    });
  };
  const clear = () => {
    for (const [index, row] of rows.entries()) {
      row.element.hidden = count > MOST_BARS; // which of them, an input has to tell
      row.name.textContent = nameOf(index, port);
      row.bar.style.width = 0;
      row.share.textContent = "";
      row.element.classList.remove("best");
    }
  };
  return { rest: [table], update, clear, lacksNames: port.classes === undefined };
}
