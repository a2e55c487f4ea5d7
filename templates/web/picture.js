
// Pictures: drawn on a pad, or from a file, as the planes of numbers that the model takes.

const PAD_WIDTH = 320;
const PEN_WIDTH = 26;
const PEN_STEP = 20;

/**
 * Ink of a pad's canvas (0 to 1) averaged over each of width × height cells; cut to what is drawn where `isCentred`.
 * null where nothing is drawn.
 */
function sampleInk(canvas, width, height, isCentred) {
  const { data } = canvas.getContext("2d", { willReadFrequently: true }).getImageData(0, 0, canvas.width, canvas.height);
  const ink = (x, y) => (x >= 0 && y >= 0 && x < canvas.width && y < canvas.height ? data[4 * (y * canvas.width + x) + 3] / 255 : 0);
  let left = canvas.width, top = canvas.height, right = 0, bottom = 0;
  for (let y = 0; y < canvas.height; ++y) {
    for (let x = 0; x < canvas.width; ++x) {
      if (ink(x, y) > 0.5) {
        [left, right] = [Math.min(left, x), Math.max(right, x + 1)];
        [top, bottom] = [Math.min(top, y), Math.max(bottom, y + 1)];
      }
    }
  }
  if (right === 0) {
    return null;
  }
  const values = new Float32Array(width * height);
  let cell = canvas.width / width;
  let [startX, startY] = [0, 0];
  if (isCentred) {
    // Data sets of drawings leave a margin of a seventh, but for the smallest pictures.
    const margin = Math.min(width, height) >= 16 ? Math.round(Math.min(width, height) / 7) : 0;
    cell = Math.max((right - left) / (width - 2 * margin), (bottom - top) / (height - 2 * margin));
    startX = (left + right - cell * width) / 2;
    startY = (top + bottom - cell * height) / 2;
  }
  const steps = Math.max(2, Math.round(cell / 3));
  values.forEach((_, index) => {
    const [column, row] = [index % width, Math.floor(index / width)];
    let sum = 0;
    for (let i = 0; i < steps * steps; ++i) {
      const x = startX + cell * (column + ((i % steps) + 0.5) / steps);
      const y = startY + cell * (row + (Math.floor(i / steps) + 0.5) / steps);
      sum += ink(Math.floor(x), Math.floor(y));
    }
    values[index] = sum / (steps * steps);
  });
  return values;
}

/** Where a channel of a pixel lies in an input or output. */
const placeOf = ({ channels, height, width, isLast }, pixel, channel) =>
  isLast ? channels * pixel + channel : height * width * channel + pixel;

/** Numbers from 0 to 1, pixel by pixel, all channels together, in the order and range that the model takes. */
function arrange(pixels, shape, range, isInverted, isBlueFirst) {
  const { channels } = shape;
  const values = new Float32Array(pixels.length);
  pixels.forEach((value, index) => {
    const channel = index % channels;
    const [low, high] = range[channel % range.length];
    const place = isBlueFirst && channel < 3 ? 2 - channel : channel;
    values[placeOf(shape, Math.floor(index / channels), place)] = low + (high - low) * (isInverted ? 1 - value : value);
  });
  return values;
}

/** An output of a picture's shape as pixels from 0 to 1, and the numbers that are black and white in it. */
function pixelsOf(values, shape) {
  const [low, high] = extent(values);
  const [black, white] = [[0, 1], [0, 255]].find(([least, most]) => low >= least && high <= most) ?? [low, high];
  const pixels = Float32Array.from(values, (_, index) => {
    const place = placeOf(shape, Math.floor(index / shape.channels), index % shape.channels);
    return (values[place] - black) / (white - black || 1);
  });
  return { pixels, black, white };
}

/** Shows pixels as the model sees them. */
function showPixels(canvas, pixels, { channels, height, width }, isInverted) {
  canvas.width = width;
  canvas.height = height;
  const image = new ImageData(width, height);
  for (let pixel = 0; pixel < height * width; ++pixel) {
    for (let i = 0; i < 3; ++i) {
      const value = pixels[channels * pixel + (channels >= 3 ? i : 0)];
      image.data[4 * pixel + i] = 255 * (isInverted ? 1 - value : value);
    }
    image.data[4 * pixel + 3] = 255;
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}

/** A pad to draw on with mouse, finger or keys. `changed(pixels)` gets the ink of each pixel, null for none. */
function makePad(shape, changed) {
  const canvas = make("canvas", {
    className: "pad",
    width: PAD_WIDTH,
    height: Math.round((PAD_WIDTH * shape.height) / shape.width),
    tabIndex: 0,
    role: "application",
    "aria-label": "Drawing pad. Draw with mouse or finger; or arrow keys move the pen, space puts it down and lifts it, delete clears.",
  });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const centre = make("input", { type: "checkbox", checked: true });
  const status = make("span", { className: "note", role: "status" });
  let last = null;
  let pen = { x: canvas.width / 2, y: canvas.height / 4, isDown: false };

  function tell() {
    changed(sampleInk(canvas, shape.width, shape.height, centre.checked));
  }
  function line(from, to) {
    Object.assign(context, { strokeStyle: "#fff", lineCap: "round", lineJoin: "round", lineWidth: PEN_WIDTH });
    context.beginPath();
    context.moveTo(from.x, from.y);
    context.lineTo(to.x, to.y);
    context.stroke();
    tell();
  }
  function clear() {
    context.clearRect(0, 0, canvas.width, canvas.height);
    tell();
  }
  function place(event) {
    const box = canvas.getBoundingClientRect();
    return { x: ((event.clientX - box.left) * canvas.width) / box.width, y: ((event.clientY - box.top) * canvas.height) / box.height };
  }
  // One finger draws, and the main button.
  canvas.onpointerdown = (event) => {
    if (!event.isPrimary || event.button !== 0) {
      return;
    }
    canvas.setPointerCapture(event.pointerId);
    last = place(event);
    line(last, last);
  };
  canvas.onpointermove = (event) => {
    if (last && event.isPrimary) {
      const next = place(event);
      line(last, next);
      last = next;
    }
  };
  canvas.onpointerup = canvas.onpointercancel = (event) => {
    last = event.isPrimary ? null : last;
  };
  const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  canvas.onkeydown = (event) => {
    if (MOVES[event.key]) {
      const [dx, dy] = MOVES[event.key];
      const within = (value, most) => Math.min(Math.max(value, PEN_WIDTH), most - PEN_WIDTH);
      const next = { ...pen, x: within(pen.x + dx * PEN_STEP, canvas.width), y: within(pen.y + dy * PEN_STEP, canvas.height) };
      if (pen.isDown) {
        line(pen, next);
      }
      pen = next;
    } else if (event.key === " ") {
      pen.isDown = !pen.isDown;
      if (pen.isDown) {
        line(pen, pen);
      }
    } else if (event.key === "Delete" || event.key === "Backspace") {
      pen.isDown = false;
      clear();
    } else {
      return;
    }
    event.preventDefault();
    const percent = (value, most) => Math.round((100 * value) / most);
    status.textContent = `Pen ${pen.isDown ? "down" : "up"} at ${percent(pen.x, canvas.width)} %, ${percent(pen.y, canvas.height)} %`;
  };
  centre.onchange = tell;
  const controls = make(
    "div",
    { className: "row" },
    make("label", { className: "check" }, centre, "Centre and scale it"),
    make("button", { type: "button", onclick: clear }, "Clear"),
  );
  return { element: make("div", {}, canvas, controls, status) };
}

/** A place for a picture: dropped, pasted or chosen; cut to the model's shape around its middle. */
function makePicture(shape, changed) {
  const file = make("input", { type: "file", accept: "image/*" });
  const status = make("p", { className: "note", role: "status" });
  const drop = make("div", { className: "drop" }, make("div", {}, make("p", {}, "Drop or paste a picture here, or"), make("label", { className: "file" }, "Choose a picture", file), status));

  async function show(blob) {
    try {
      const bitmap = await createImageBitmap(blob);
      const canvas = make("canvas", { width: shape.width, height: shape.height });
      const context = canvas.getContext("2d");
      context.imageSmoothingQuality = "high";
      const scale = Math.max(shape.width / bitmap.width, shape.height / bitmap.height);
      const [width, height] = [bitmap.width * scale, bitmap.height * scale];
      context.drawImage(bitmap, (shape.width - width) / 2, (shape.height - height) / 2, width, height);
      const { data } = context.getImageData(0, 0, shape.width, shape.height);
      const pixels = new Float32Array(shape.channels * shape.width * shape.height);
      pixels.forEach((_, i) => {
        const at = 4 * Math.floor(i / shape.channels);
        const grey = 0.299 * data[at] + 0.587 * data[at + 1] + 0.114 * data[at + 2];
        pixels[i] = (shape.channels === 1 ? grey : data[at + (i % shape.channels)]) / 255;
      });
      status.textContent = `${blob.name ?? "The picture"}: ${bitmap.width} × ${bitmap.height} pixels`;
      changed(pixels);
    } catch {
      status.textContent = "This file is no picture that the browser can read.";
    }
  }
  file.onchange = () => file.files[0] && show(file.files[0]);
  drop.ondragover = (event) => {
    event.preventDefault();
    drop.classList.add("over");
  };
  drop.ondragleave = () => drop.classList.remove("over");
  drop.ondrop = (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    if (event.dataTransfer.files[0]) {
      show(event.dataTransfer.files[0]);
    }
  };
  addEventListener("paste", (event) => {
    const [item] = event.clipboardData.files;
    if (item && drop.isConnected && drop.offsetParent) {
      show(item);
    }
  });
  return { element: drop };
}
