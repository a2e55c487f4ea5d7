
// One panel an input: where its numbers come from, chosen by its shape.

/** The sources that fit an input's shape, the best first, by title. Each is made with `changed(values)`. */
function sourcesOf(port, isStream, changed, changedPixels) {
  const sources = {};
  const picture = pictureShape(port.shape);
  if (picture) {
    if (picture.channels === 1 && Math.max(picture.width, picture.height) <= 64) {
      sources.Draw = () => makePad(picture, changedPixels);
    }
    sources.Picture = () => makePicture(picture, changedPixels);
  }
  const samples = isInteger(port) ? 0 : soundLength(port.shape, isStream);
  if (samples) {
    sources.Microphone = () => makeMicrophone(samples, isStream, changed);
  }
  const motion = motionShape(port.shape);
  if (motion && !picture && !isInteger(port)) {
    sources.Motion = () => makeMotion(motion, changed);
  }
  sources.Numbers = () => makeNumbers(port, changed);
  return sources;
}

/**
 * A panel for one input; `changed(values)` gets real numbers in the order of the input's shape, null for none. Of a
 * stream, what follows goes on where what came before ended.
 */
function makeInput(port, isStream, changed) {
  const picture = pictureShape(port.shape);
  const preview = make("canvas", { "aria-hidden": "true" });
  const range = make("select", {}, ...Object.keys(RANGES).map((name) => make("option", { textContent: name })));
  range.value = likelyRange(port);
  const invert = make("input", { type: "checkbox" });
  const blueFirst = make("input", { type: "checkbox" });
  const seen = make("div", { className: "seen" }, preview, "What the model sees");
  let pixels = null;

  function changedPixels(given = pixels) {
    pixels = given;
    seen.hidden = pixels === null;
    if (pixels) {
      showPixels(preview, pixels, picture, invert.checked);
    }
    changed(pixels && arrange(pixels, picture, RANGES[range.value], invert.checked, blueFirst.checked));
  }
  range.onchange = invert.onchange = blueFirst.onchange = () => changedPixels();
  const settings = make(
    "div",
    {},
    seen,
    make(
      "details",
      {},
      make("summary", {}, "Values of pixels"),
      make(
        "div",
        { className: "row" },
        make("label", {}, "Black to white is ", range),
        make("label", { className: "check" }, invert, "Invert"),
        make("label", { className: "check", hidden: !(picture?.channels > 1) }, blueFirst, "Blue before red"),
      ),
    ),
  );
  const sources = sourcesOf(port, isStream, changed, changedPixels);
  const titles = Object.keys(sources);
  const place = make("div");
  let current = null;

  function choose(title) {
    current?.stop?.();
    current = sources[title]();
    place.replaceChildren(current.element);
    settings.hidden = title !== "Draw" && title !== "Picture";
    if (current.start) {
      current.start();
    } else {
      changedPixels(null);
    }
  }
  const choices = titles.map((title, index) =>
    make(
      "label",
      {},
      make("input", { type: "radio", name: `source-${port.index}`, checked: index === 0, onchange: () => choose(title) }),
      make("span", {}, title),
    ),
  );
  const tabs = make("div", { className: "sources", role: "radiogroup", "aria-label": "Source of the input" }, ...choices);
  tabs.hidden = titles.length === 1;
  const legend = make("legend", {}, describe(port));
  const element = make("fieldset", {}, legend, tabs, place, settings);
  return { element, start: () => choose(titles[0]) };
}
