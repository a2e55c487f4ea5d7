
// Numbers over time or as text: microphone, motion sensor, and a field to type or paste into.

const MOST_SAMPLES = 32768;
const SOUND_RATES = [8000, 16000, 22050, 44100, 48000];
const LISTEN_EVERY_MS = 200;
const MOTION_EVERY = 8;
const SENSOR_MS = 2000;
const NO_SENSOR = "This device has no motion sensor. Numbers can be typed or pasted instead.";

/**
 * The number of samples, where a shape is that of a window of sound: long, and all of it along one axis. Windows of a
 * stream are shorter.
 */
function soundLength(shape, isStream) {
  const longest = Math.max(...shape);
  return size(shape) === longest && longest >= (isStream ? 80 : 400) && longest <= MOST_SAMPLES ? longest : 0;
}

/** The axes (3 or 6) and whether they come last, where a shape is that of a window of motion; else null. */
function motionShape(shape) {
  const sizes = shape.filter((axis) => axis !== 1);
  if (sizes.length !== 2) {
    return null;
  }
  const isLast = [3, 6].includes(sizes[1]);
  const axes = isLast ? sizes[1] : sizes[0];
  return [3, 6].includes(axes) && Math.max(...sizes) >= 8 ? { axes, isLast, length: size(shape) / axes } : null;
}

/** Calls `hear(values)` with the last samples of a source, several times a second; returns what ends that. */
function hearLast(source, length, hear) {
  const fftSize = 2 ** Math.max(5, Math.ceil(Math.log2(length)));
  const analyser = new AnalyserNode(source.context, { fftSize });
  source.connect(analyser);
  const heard = new Float32Array(fftSize);
  const timer = setInterval(() => {
    analyser.getFloatTimeDomainData(heard);
    hear(heard.slice(fftSize - length));
  }, LISTEN_EVERY_MS);
  return () => clearInterval(timer);
}

/** Calls `hear(values)` with one window of a source's samples after the other, each sample once. */
function hearAll(source, length, hear) {
  // An AudioWorklet would have to be a file of its own.
  const node = source.context.createScriptProcessor(1024, 1, 1);
  const window = new Float32Array(length);
  let filled = 0;
  node.onaudioprocess = ({ inputBuffer }) => {
    for (const sample of inputBuffer.getChannelData(0)) {
      window[filled++] = sample;
      if (filled === length) {
        filled = 0;
        hear(window.slice());
      }
    }
  };
  source.connect(node).connect(source.context.destination);
  return () => (node.onaudioprocess = null);
}

/**
 * What the microphone hears: the last samples several times a second, or all of them where the model takes a stream.
 * `changed(values)` gets them from -1 to 1.
 */
function makeMicrophone(length, isStream, changed) {
  const rate = make("select", {}, ...SOUND_RATES.map((hertz) => make("option", { value: hertz, textContent: `${hertz} Hz` })));
  rate.value = 16000;
  const button = make("button", { type: "button", className: "primary", textContent: "Listen" });
  const status = make("p", { className: "note", role: "status" });
  const wave = makeWave("Sound as the model hears it");
  let stop = null;

  async function start() {
    if (!navigator.mediaDevices) {
      throw new Error("browsers give it to pages from https or from this machine only.");
    }
    const context = new AudioContext({ sampleRate: Number(rate.value) });
    const stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1 } }).catch((error) => {
      context.close();
      throw error;
    });
    const end = (isStream ? hearAll : hearLast)(context.createMediaStreamSource(stream), length, (values) => {
      wave.update(values);
      changed(values);
    });
    return () => {
      end();
      stream.getTracks().forEach((track) => track.stop());
      context.close();
    };
  }
  button.onclick = async () => {
    if (stop) {
      stop();
      stop = null;
    } else {
      try {
        stop = await start();
        const seconds = `${(length / rate.value).toFixed(2)} s`;
        status.textContent = isStream
          ? `Listening: ${seconds} after ${seconds}.`
          : `Listening: the last ${seconds}, ${1000 / LISTEN_EVERY_MS} times a second.`;
      } catch (error) {
        status.textContent = `No sound: ${error.message}`;
      }
    }
    button.textContent = stop ? "Stop" : "Listen";
    rate.disabled = stop !== null;
  };
  const label = make("label", {}, "Sample rate ", rate);
  return { element: make("div", {}, make("div", { className: "row" }, button, label), wave.svg, status), stop: () => stop && button.click() };
}

/** The last motions that the device's sensors felt. `changed(values)` gets m/s² (and degrees/s where there are 6 axes). */
function makeMotion({ axes, isLast, length }, changed) {
  const rows = Array.from({ length }, () => Array(axes).fill(0));
  const button = make("button", { type: "button", className: "primary", textContent: "Feel motion" });
  const status = make("p", { className: "note", role: "status" });
  const wave = makeWave("Acceleration along x");
  let events = 0;

  function felt({ accelerationIncludingGravity: a, rotationRate: r }) {
    if (a?.x == null) {
      status.textContent = NO_SENSOR;
      return;
    }
    rows.push([a.x, a.y, a.z, r?.alpha ?? 0, r?.beta ?? 0, r?.gamma ?? 0].slice(0, axes));
    rows.shift();
    if (++events % MOTION_EVERY === 0) {
      const columns = Array.from({ length: axes }, (_, axis) => rows.map((row) => row[axis]));
      wave.update(columns[0]);
      changed(Float32Array.from((isLast ? rows : columns).flat()));
      status.textContent = `${events} readings`;
    }
  }
  let isOn = false;
  function turn(on) {
    isOn = on;
    (on ? addEventListener : removeEventListener)("devicemotion", felt);
    button.textContent = on ? "Stop" : "Feel motion";
  }
  button.onclick = async () => {
    // iOS asks.
    const answer = isOn ? "granted" : await globalThis.DeviceMotionEvent?.requestPermission?.().catch(() => "denied");
    if (answer === "denied") {
      status.textContent = "The browser gives no motion to this page.";
      return;
    }
    turn(!isOn);
    if (isOn) {
      status.textContent = "Waiting for the sensor…";
      setTimeout(() => isOn && events === 0 && (status.textContent = NO_SENSOR), SENSOR_MS);
    }
  };
  return { element: make("div", {}, button, wave.svg, status), stop: () => turn(false) };
}

/** Numbers as text: any separators will do. `changed(values)` gets them if the model takes them, else null. */
function makeNumbers(port, changed) {
  const length = size(port.shape);
  const rows = Math.min(6, Math.ceil(length / 6) + 1);
  const count = `${length} number${length === 1 ? "" : "s"}`;
  const field = make("textarea", { spellcheck: false, rows, "aria-label": `${count} for ${port.name}` });
  const status = make("p", { className: "note", role: "status" });
  const [low, high] = holds(port) ?? [0, 1];
  const [least, most] = !isInteger(port) ? [-Infinity, Infinity] : port.dtype === "bool" ? [0, 1] : limits(port.dtype);
  const fits = (value) => value >= least && value <= most && (!isInteger(port) || Number.isInteger(value));

  function tell() {
    const words = field.value.split(/[\s,;[\](){}]+/).filter(Boolean);
    const values = Float64Array.from(words, Number);
    const wrong = words.find((_, index) => !Number.isFinite(values[index]));
    const outside = values.find((value) => !fits(value));
    if (wrong !== undefined) {
      status.textContent = `“${wrong}” is not a number; the model takes ${length}.`;
    } else if (values.length !== length) {
      status.textContent = `${values.length} numbers; the model takes ${length}.`;
    } else if (outside !== undefined) {
      status.textContent = `${outside} is no ${port.dtype}.`;
    } else {
      status.textContent = `${count}.`;
      changed(values);
      return;
    }
    changed(null);
  }
  function fill(number) {
    field.value = Array.from({ length }, number).join(" ");
    tell();
  }
  field.oninput = tell;
  // Integers without a scale are often indices: small ones are safe.
  const random = () => (isInteger(port) ? Math.floor(2 * Math.random()) : (low + (high - low) * Math.random()).toPrecision(4));
  const buttons = make(
    "div",
    { className: "row" },
    make("button", { type: "button", textContent: "Random", onclick: () => fill(random) }),
    make("button", { type: "button", textContent: "Zeros", onclick: () => fill(() => 0) }),
  );
  return { element: make("div", {}, field, buttons, status), start: () => fill(() => 0) };
}
