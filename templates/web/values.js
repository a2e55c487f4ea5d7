
// Real numbers of an input or output: their range, their shape, and their way into the model.

/** The numbers that a quantized input can hold; null where any number will do. */
function holds(port) {
  if (port.scale === null) {
    return null;
  }
  const [low, high] = limits(port.dtype);
  return [(low - port.zero_point) * port.scale, (high - port.zero_point) * port.scale];
}

// What black and white are, the same in all channels or one after the other.
const RANGES = {
  "0 to 1": [[0, 1]],
  "−1 to 1": [[-1, 1]],
  "0 to 255": [[0, 255]],
  "−128 to 127": [[-128, 127]],
  "0 to 1, less ImageNet's mean, by its deviation": [[0.485, 0.229], [0.456, 0.224], [0.406, 0.225]].map(
    ([mean, deviation]) => [-mean / deviation, (1 - mean) / deviation],
  ),
};

/** The usual range of pixels that fits what the input holds best. */
function likelyRange(port) {
  const held = isInteger(port) ? limits(port.dtype) : holds(port);
  if (held === null) {
    return "0 to 1";
  }
  const distance = (range) => {
    const [low, high] = extent(range.flat());
    return (Math.abs(low - held[0]) + Math.abs(high - held[1])) / (high - low);
  };
  return Object.keys(RANGES).sort((a, b) => distance(RANGES[a]) - distance(RANGES[b]))[0];
}

/** Real numbers as the elements that the input takes. */
function toElements(model, port, values) {
  if (port.scale !== null) {
    return model.quantize(values, port.index);
  }
  const kind = ARRAYS[port.dtype];
  const convert = kind.name.startsWith("Big") ? (value) => BigInt(Math.round(value)) : isInteger(port) ? Math.round : Number;
  return kind.from(values, convert);
}

/** An output's elements as real numbers. */
function toReal(model, port, elements) {
  return port.scale !== null ? model.dequantize(elements, port.index) : Float64Array.from(elements, Number);
}

/** Whether an input or output holds integers that stand for themselves: indices, labels, or true and false. */
function isInteger(port) {
  return port.scale === null && !port.dtype.startsWith("float");
}

/** What an input or output is called, and what it holds. */
function describe({ name, dtype, shape }) {
  return make("span", { className: "port" }, make("b", {}, name), ` ${dtype} ${shape.join(" × ") || "scalar"}`);
}

const CHANNELS = [1, 3, 4]; // grey, color, color and opacity

/** Channels, height and width where a shape is that of a picture, and whether channels come last; else null. */
function pictureShape(shape) {
  const sizes = shape.length === 4 && shape[0] === 1 ? shape.slice(1) : shape;
  if (sizes.length !== 3) {
    return null;
  }
  const isLast = !CHANNELS.includes(sizes[0]) && CHANNELS.includes(sizes[2]);
  const [channels, height, width] = isLast ? [sizes[2], sizes[0], sizes[1]] : sizes;
  const isPicture = CHANNELS.includes(channels) && Math.min(height, width) >= 8;
  return isPicture && Math.max(height, width) <= 2 * Math.min(height, width)
    ? { channels, height, width, isLast }
    : null;
}

/** The least and the greatest number; `Math.min` takes no picture full of arguments. */
function extent(values) {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return [low, high];
}

const size = (shape) => shape.reduce((a, b) => a * b, 1);

/** An element with properties and children; `on…` properties are listeners, those with a "-" attributes. */
function make(tag, properties = {}, ...children) {
  const element = tag === "svg" || tag === "path"
    ? document.createElementNS("http://www.w3.org/2000/svg", tag)
    : document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || element instanceof SVGElement || name === "role") {
      element.setAttribute(name, value);
    } else {
      element[name] = value;
    }
  }
  element.append(...children);
  return element;
}

/** A line through numbers, from left to right; `update` takes others. */
function makeWave(label) {
  const path = make("path");
  const svg = make("svg", { class: "wave", viewBox: "0 0 100 100", preserveAspectRatio: "none", role: "img", "aria-label": label }, path);
  const update = (values) => {
    const [low, high] = extent(values);
    const y = (value) => (high > low ? 95 - (90 * (value - low)) / (high - low) : 50);
    const step = Math.max(1, Math.floor(values.length / 400));
    const points = [];
    for (let i = 0; i < values.length; i += step) {
      points.push(`${((100 * i) / Math.max(1, values.length - 1)).toFixed(2)} ${y(values[i]).toFixed(2)}`);
    }
    path.setAttribute("d", points.length ? `M${points.join("L")}` : "");
  };
  return { svg, update };
}
