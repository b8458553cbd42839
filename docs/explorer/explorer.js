"use strict";

const $ = (id) => document.getElementById(id);
const part = (tab, selector) => $(tab).querySelector(selector);
const still = matchMedia("(prefers-reduced-motion: reduce)");
const dark = matchMedia("(prefers-color-scheme: dark)");
const REACH = 4; // the map goes from -4 to 4
const PAD = 280; // the pad's and the map's own coordinates, whatever their size on the screen
const MAP = 400;
const SHARPNESS = 3; // the map's canvas has so many pixels for each of its coordinates
const LENS = 130;

let data, twin, main;
let panels; // for each tab its model, and what that makes of the image: {code, samples, logits}
let shown = "two";
let strokes = [];
let stroke = null; // the one that is being drawn
let image = blank(); // what the models see
let past = []; // what Undo goes back to: {strokes, image}

function blank() {
  return new Float32Array(784);
}

function isBlank() {
  return !image.some((ink) => ink > 0);
}

// Work for the next frame, once however often it is asked for.
const requested = new Map();
function request(name, work) {
  if (!requested.size) requestAnimationFrame(runRequested);
  requested.set(name, work);
}
function runRequested() {
  const works = [...requested.values()];
  requested.clear();
  for (const work of works) work();
}

// Call draw with the share of the time that is over, from 0 to 1, once a frame, while it returns true.
function animate(milliseconds, draw) {
  const began = performance.now();
  const step = (now) => {
    const share = Math.max(0, Math.min(1, (now - began) / milliseconds));
    if (draw(share) && share < 1) requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
}

// ------------------------------------------------------------------------------------------------ images on canvases

function paint(canvas, pixels) {
  const context = canvas.getContext("2d");
  const picture = context.createImageData(28, 28);
  pixels.forEach((ink, i) => {
    const grey = Math.round(255 * (1 - ink));
    picture.data.set([grey, grey, grey, 255], 4 * i);
  });
  context.putImageData(picture, 0, 0);
}

function show(canvas, logits) {
  paint(canvas, logits.map(sigmoid));
}

function newCanvas(side) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = side;
  return canvas;
}

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

// Black, blue and brown could hardly be seen in the dark.
function classColour(digit) {
  const shade = data.colours[digit];
  return dark.matches ? `color-mix(in srgb, ${shade} ${shade === "#000000" ? 0 : 70}%, white)` : shade;
}

// --------------------------------------------------------------------------------------------------------- the pad

function position(event, canvas, side) {
  const box = canvas.getBoundingClientRect();
  const inside = (share) => side * Math.max(0, Math.min(1, share));
  return [inside((event.clientX - box.left) / box.width), inside((event.clientY - box.top) / box.height)];
}

// Follow one pointer at a time: a palm, a second finger or another button must not disturb the first.
function follow(canvas, { down, move, up }) {
  let pointer = null;
  canvas.addEventListener("pointerdown", (event) => {
    if (pointer !== null || event.button !== 0) return;
    event.preventDefault();
    if (down(event) === false) return;
    pointer = event.pointerId;
    canvas.setPointerCapture(pointer);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (pointer === null || event.pointerId === pointer) move(event, pointer !== null);
  });
  for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
    canvas.addEventListener(end, (event) => {
      if (event.pointerId !== pointer) return;
      pointer = null;
      up(event);
    });
  }
}

function drawPad() {
  const context = $("pad").getContext("2d");
  context.clearRect(0, 0, PAD, PAD);
  if (isBlank()) {
    context.font = "20px system-ui, sans-serif";
    context.textAlign = "center";
    context.fillStyle = "#6a6e75";
    context.fillText("Draw a digit here", PAD / 2, PAD / 2);
  } else if (!strokes.length) {
    const small = newCanvas(28);
    paint(small, image);
    context.imageSmoothingEnabled = false;
    context.drawImage(small, 0, 0, PAD, PAD);
  }
  context.lineWidth = 20;
  context.lineCap = context.lineJoin = "round";
  context.strokeStyle = "black";
  for (const stroke of strokes) {
    context.beginPath();
    stroke.forEach(([x, y]) => context.lineTo(x, y));
    context.lineTo(...stroke.at(-1));
    context.stroke();
  }
}

function remember() {
  past.push({ strokes: [...strokes], image });
  stroke = null;
}

function setImage(pixels, unhurried) {
  image = pixels;
  point = mark = null;
  setWalk(null);
  $("clear").disabled = isBlank();
  $("undo").disabled = !past.length;
  drawPad();
  paint($("seen"), image);
  encode(unhurried);
}

function listenToPad() {
  const pad = $("pad");
  const draw = (unhurried) => request("pad", () => setImage(asMnist(strokes), unhurried));
  follow(pad, {
    down(event) {
      remember();
      stroke = [position(event, pad, PAD)];
      strokes.push(stroke);
      draw();
    },
    move(event) {
      if (!stroke) return;
      const parts = event.getCoalescedEvents?.() ?? [];
      for (const part of parts.length ? parts : [event]) stroke.push(position(part, pad, PAD));
      draw();
    },
    up() {
      if (stroke) draw(true);
      stroke = null;
    },
  });
  $("clear").addEventListener("click", () => {
    remember();
    strokes = [];
    setImage(blank());
  });
  $("undo").addEventListener("click", () => {
    const before = past.pop();
    stroke = null;
    strokes = before.strokes;
    setImage(before.image, true);
  });
  let number = 0;
  $("digit").addEventListener("change", () => testDigit((number = 0)));
  $("another").addEventListener("click", () => testDigit(++number));
}

function testDigit(number) {
  const digit = Number($("digit").value);
  const those = data.digits.labels.flatMap((label, i) => (label === digit ? [i] : []));
  const start = 784 * those[number % those.length];
  remember();
  strokes = [];
  setImage(Float32Array.from(data.digits.images.subarray(start, start + 784), (grey) => grey / 255), true);
}

// ------------------------------------------------------------------------------------------------ what the model says

// Only for the tab that is shown: there are 60 frames a second to be drawn.
function encode(unhurried) {
  const panel = panels[shown];
  panel.image = image;
  panel.code = isBlank() ? null : panel.model.encode(image);
  if (shown === "many") setSliders();
  newSamples(unhurried);
}

// Draw six samples, one after the other if there is time to watch.
function newSamples(unhurried) {
  const panel = panels[shown];
  const { code, model } = panel;
  const canvases = $(shown).querySelectorAll(".samples canvas");
  part(shown, ".again").disabled = !code;
  panel.samples = code ? Array.from(canvases, () => sample(code)) : [];
  panel.logits = panel.samples.map((z) => model.decode(z));
  for (const canvas of canvases) paint(canvas, blank());
  const cost = panel.logits.reduce((sum, logits) => sum + reconstructionCost(image, logits), 0) / canvases.length;
  const kl = code && klByDimension(code).reduce((sum, nats) => sum + nats, 0);
  part(shown, ".reconstruction-nats").textContent = code ? cost.toFixed(0) : "–";
  part(shown, ".kl-nats").textContent = code ? kl.toFixed(1) : "–";
  if (shown === "two") decodeTwin();
  announce();

  const { samples, logits } = panel;
  const dropTo = (share) => {
    if (samples !== panel.samples) return false;
    panel.dropped = share * samples.length;
    logits.slice(0, Math.floor(panel.dropped)).forEach((one, i) => show(canvases[i], one));
    if (shown === "two") drawMap();
    return true;
  };
  if (unhurried && !still.matches) animate(900, dropTo);
  else dropTo(1);
}

// For screen readers, and only when things have come to rest.
let announcement;
function announce() {
  clearTimeout(announcement);
  announcement = setTimeout(() => {
    const read = (selector) => part(shown, selector).textContent;
    const numbers = `Reconstruction ${read(".reconstruction-nats")} nats, KL ${read(".kl-nats")} nats.`;
    $("status").textContent = `Decoded ${read(".what")}. ${panels[shown].code ? numbers : ""}`;
  }, 700);
}

// ------------------------------------------------------------------------------------------------ two dimensions: a map

let point = null; // the code under the pointer
let walk = null; // {from, to}
let mark = null; // where a walk is to begin
let playing = null; // the walk that is being played
let backdrop = null;
let manifold = null;

const toMap = ([a, b]) => [((a + REACH) / (2 * REACH)) * MAP, ((REACH - b) / (2 * REACH)) * MAP];
const fromMap = ([x, y]) => [(x / MAP) * 2 * REACH - REACH, REACH - (y / MAP) * 2 * REACH];
const squaredDistance = ([a, b], [c, d]) => (a - c) ** 2 + (b - d) ** 2;

// Decode the code under the pointer, or else the mean of the drawing's distribution.
function decodeTwin() {
  const z = point || panels.two.code?.mean;
  const canvas = part("two", ".reconstruction");
  if (z) show(canvas, twin.decode(z));
  else paint(canvas, blank());
  const digit = z && classNear(z);
  const region = digit === null ? "far from all test digits" : `among the ${digit}s`;
  const place = point ? `at (${point[0].toFixed(2)}, ${point[1].toFixed(2)})` : "from the mean";
  part("two", ".what").textContent = z ? `${place}, ${region}` : "nothing drawn yet";
  part("two", ".back").disabled = !point;
}

// The most frequent class among the 25 nearest dots; null where no dot is near.
function classNear(z) {
  const near = data.dots.codes.map((code, i) => [squaredDistance(code, z), data.dots.labels[i]]);
  near.sort((a, b) => a[0] - b[0]);
  if (near[0][0] > 0.25) return null;
  const counts = new Array(10).fill(0);
  for (const [, label] of near.slice(0, 25)) counts[label]++;
  return counts.indexOf(Math.max(...counts));
}

// The dot with the most dots of its class around it: some classes have two regions, and nothing at their mean. Where
// two classes share a region, their names make room for each other.
function centres() {
  const found = data.colours.map((_, digit) => {
    const codes = data.dots.codes.filter((_, i) => data.dots.labels[i] === digit);
    const counts = codes.map((code) => codes.filter((other) => squaredDistance(code, other) < 0.16).length);
    return [...codes[counts.indexOf(Math.max(...counts))]];
  });
  for (const one of found) {
    for (const other of found) {
      if (one[0] < other[0] && squaredDistance(one, other) < 0.16) {
        one[0] -= 0.15;
        other[0] += 0.15;
      }
    }
  }
  return found;
}

function drawBackdrop() {
  backdrop = newCanvas(SHARPNESS * MAP);
  const context = backdrop.getContext("2d");
  context.scale(SHARPNESS, SHARPNESS);
  context.fillStyle = colour("--paper");
  context.fillRect(0, 0, MAP, MAP);
  if ($("manifold").checked) {
    manifold ||= drawManifold();
    context.drawImage(manifold, 0, 0, MAP, MAP);
  }
  context.globalAlpha = 0.75;
  data.dots.labels.forEach((label, i) => {
    context.fillStyle = classColour(label);
    context.beginPath();
    context.arc(...toMap(data.dots.codes[i]), 1.6, 0, 2 * Math.PI);
    context.fill();
  });
  context.globalAlpha = 1;
  context.font = "bold 17px system-ui, sans-serif";
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.lineWidth = 4;
  context.strokeStyle = colour("--paper");
  context.fillStyle = colour("--ink");
  centres().forEach((centre, digit) => {
    context.strokeText(digit, ...toMap(centre));
    context.fillText(digit, ...toMap(centre));
  });
}

function drawManifold() {
  const count = 20;
  const canvas = newCanvas(28 * count);
  const small = newCanvas(28);
  const context = canvas.getContext("2d");
  for (let i = 0; i < count * count; i++) {
    const [column, row] = [i % count, Math.floor(i / count)];
    show(small, twin.decode(fromMap([((column + 0.5) * MAP) / count, ((row + 0.5) * MAP) / count])));
    context.drawImage(small, 28 * column, 28 * row);
  }
  if (dark.matches) {
    context.globalCompositeOperation = "difference";
    context.fillStyle = "white";
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.globalCompositeOperation = "source-over";
  }
  context.fillStyle = colour("--paper");
  context.globalAlpha = 0.6;
  context.fillRect(0, 0, canvas.width, canvas.height);
  return canvas;
}

function drawMap() {
  if (!backdrop) drawBackdrop();
  const context = $("map").getContext("2d");
  context.setTransform(SHARPNESS, 0, 0, SHARPNESS, 0, 0);
  context.drawImage(backdrop, 0, 0, MAP, MAP);
  if (panels.two.code) {
    drawDistribution(context, toMap(panels.two.code.mean), 1);
    drawLens(context);
  }
  context.strokeStyle = context.fillStyle = colour("--accent");
  if (walk) {
    context.lineWidth = 2;
    context.beginPath();
    context.moveTo(...toMap(walk.from));
    context.lineTo(...toMap(walk.to));
    context.stroke();
  }
  if (mark) {
    context.beginPath();
    context.arc(...toMap(mark), 4, 0, 2 * Math.PI);
    context.fill();
  }
  if (point) {
    context.lineWidth = 2.5;
    context.beginPath();
    context.arc(...toMap(point), 6, 0, 2 * Math.PI);
    context.stroke();
  }
}

// The ellipses of one and two standard deviations around a place on the canvas, and the samples that have left the mean.
function drawDistribution(context, [x, y], zoom) {
  const { code, samples, dropped } = panels.two;
  const scale = (zoom * MAP) / (2 * REACH);
  for (const deviations of [2, 1]) {
    context.beginPath();
    const radii = code.logVar.map((value) => deviations * Math.exp(0.5 * value) * scale);
    context.ellipse(x, y, ...radii, 0, 0, 2 * Math.PI);
    context.fillStyle = colour("--belief");
    context.fill();
    context.lineWidth = 1;
    context.strokeStyle = colour("--ink");
    context.stroke();
  }
  context.fillStyle = colour("--accent");
  samples.forEach((z, i) => {
    const way = Math.min(1, dropped - i);
    if (way <= 0) return;
    const [dx, dy] = z.map((value, d) => way * (value - code.mean[d]) * scale);
    context.beginPath();
    context.arc(x + dx, y - dy, zoom > 1 ? 3 : 1.5, 0, 2 * Math.PI);
    context.fill();
  });
}

function lensLeft() {
  return panels.two.code.mean[0] < 0 ? MAP - LENS - 4 : 4;
}

// The same, larger, in a corner of the map: the model is mostly so sure that its ellipse is hardly seen.
function drawLens(context) {
  const { mean, logVar } = panels.two.code;
  const [x, y] = toMap(mean);
  const left = lensLeft();
  const widest = (2 * Math.exp(0.5 * Math.max(...logVar)) * MAP) / (2 * REACH);
  const zoom = Math.max(1, Math.min(10, Math.floor(LENS / 3 / widest)));
  const middle = [left + LENS / 2, 4 + LENS / 2];
  const side = LENS / zoom;
  context.save();
  context.lineWidth = 1;
  context.strokeStyle = colour("--quiet");
  context.strokeRect(x - side / 2, y - side / 2, side, side);
  context.beginPath();
  context.rect(left, 4, LENS, LENS);
  context.fillStyle = colour("--paper");
  context.fill();
  context.stroke();
  context.clip();
  drawDistribution(context, middle, zoom);
  context.font = "13px system-ui, sans-serif";
  context.textAlign = "left";
  context.fillStyle = colour("--ink");
  context.fillText(`q(z|x), ×${zoom}`, left + 6, 18);
  context.restore();
}

function moveTo(z) {
  point = z && z.map((value) => Math.max(-REACH, Math.min(REACH, value)));
  request("map", () => {
    decodeTwin();
    drawMap();
    announce();
  });
}

function setWalk(line) {
  walk = line;
  playing = null;
  $("walk").value = line ? 100 : 0;
  $("walk").disabled = $("play").disabled = !line;
}

function along(share) {
  moveTo(walk.from.map((value, i) => value + share * (walk.to[i] - value)));
}

function playWalk() {
  const mine = (playing = { ...walk });
  animate(3000, (share) => {
    if (playing !== mine) return false;
    $("walk").value = 100 * share;
    along(share);
    if (share === 1) playing = null;
    return true;
  });
}

// A hand that slips does not walk.
function endWalk(from, to) {
  mark = null;
  setWalk(squaredDistance(from, to) > 0.02 ? { from, to } : null);
  moveTo(to);
  if (walk && !still.matches) playWalk();
}

function listenToMap() {
  const map = $("map");
  const inLens = ([x, y]) => panels.two.code && y < LENS + 4 && x >= lensLeft() && x <= lensLeft() + LENS;
  const here = (event) => fromMap(position(event, map, MAP));
  follow(map, {
    down(event) {
      if (inLens(position(event, map, MAP))) return false;
      map.focus({ preventScroll: true });
      setWalk(null);
      mark = here(event);
      moveTo(mark);
    },
    move(event, pressed) {
      if (pressed && mark) walk = { from: mark, to: here(event) };
      else if (playing) return;
      moveTo(!pressed && inLens(position(event, map, MAP)) ? null : here(event));
    },
    up(event) {
      if (mark && event.type === "pointerup") endWalk(mark, here(event));
      else setWalk((mark = null));
    },
  });
  map.addEventListener("pointerleave", (event) => {
    // A finger leaves when it is lifted; what it pointed at should stay.
    if (event.pointerType === "touch" || mark || playing) return;
    if (walk) along($("walk").value / 100);
    else moveTo(null);
  });
  map.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const step = event.shiftKey ? 0.5 : 0.1;
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] };
    const z = point || Array.from(panels.two.code?.mean || [0, 0]);
    if (event.key === "Enter" && !event.repeat) {
      if (mark) {
        endWalk(mark, z);
      } else {
        setWalk(null);
        mark = z;
        moveTo(z);
      }
    } else if (event.key === "Escape") {
      backToDrawing();
    } else if (event.key in moves) {
      setWalk(null);
      moveTo(z.map((value, i) => value + moves[event.key][i]));
    } else return;
    event.preventDefault();
  });
  const backToDrawing = () => {
    mark = null;
    setWalk(null);
    moveTo(null);
  };
  part("two", ".back").addEventListener("click", backToDrawing);
  $("manifold").addEventListener("change", () => {
    backdrop = null;
    drawMap();
  });
  $("walk").addEventListener("input", () => {
    playing = null;
    along($("walk").value / 100);
  });
  $("play").addEventListener("click", playWalk);
  dark.addEventListener("change", () => {
    backdrop = manifold = null;
    makeLegend();
    drawMap();
  });
}

function makeLegend() {
  $("legend").replaceChildren(
    ...data.colours.map((_, digit) => {
      const item = document.createElement("li");
      item.innerHTML = `<span style="background: ${classColour(digit)}"></span>${digit}`;
      return item;
    })
  );
}

// ------------------------------------------------------------------------------------------- many dimensions: sliders

function makeSliders() {
  data.models.digits.active.forEach(({ dimension, nats }, rank) => {
    const label = document.createElement("label");
    label.title = `Dimension ${rank + 1} costs ${nats} nats on average; move it to see what it changes.`;
    label.innerHTML = `<span>${nats.toFixed(2)} nats</span><input type="range" min="-4" max="4" step="any"><output></output>`;
    const input = label.querySelector("input");
    input.dataset.dimension = dimension;
    input.setAttribute("aria-label", `Dimension ${rank + 1}, ${nats.toFixed(2)} nats`);
    input.addEventListener("input", () => request("sliders", () => decodeMain("from the sliders")));
    $("sliders").append(label);
  });
  part("many", ".back").addEventListener("click", setSliders);
}

function setSliders() {
  const mean = panels.many.code?.mean;
  for (const input of $("sliders").querySelectorAll("input")) input.value = mean ? mean[input.dataset.dimension] : 0;
  decodeMain(mean ? "from the mean" : "from zero, the middle of the prior");
  part("many", ".back").disabled = true;
}

function decodeMain(what) {
  const z = Float32Array.from(panels.many.code?.mean || new Float32Array(main.dimensions));
  for (const input of $("sliders").querySelectorAll("input")) {
    z[input.dataset.dimension] = input.value;
    input.nextElementSibling.textContent = (Math.round(10 * input.value) / 10 || 0).toFixed(1); // no -0.0
  }
  show(part("many", ".reconstruction"), main.decode(z));
  part("many", ".what").textContent = what;
  part("many", ".back").disabled = false;
  announce();
}

// --------------------------------------------------------------------------------------------------------- the page

function listenToTabs() {
  const tabs = [...document.querySelectorAll("[role=tab]")];
  const select = (chosen) => {
    for (const tab of tabs) {
      const selected = tab === chosen;
      tab.setAttribute("aria-selected", selected);
      tab.tabIndex = selected ? 0 : -1;
      $(tab.getAttribute("aria-controls")).hidden = !selected;
    }
    shown = chosen.getAttribute("aria-controls");
    if (panels[shown].image !== image) encode(true);
  };
  tabs.forEach((tab, i) => {
    tab.addEventListener("click", () => select(tab));
    tab.addEventListener("keydown", (event) => {
      if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
      const other = tabs[(i + 1) % tabs.length];
      select(other);
      other.focus();
    });
  });
}

async function inflate(text) {
  const stream = new Blob([decodeBase64(text)]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function start() {
  data = JSON.parse($("data").textContent);
  const bytes = await inflate($("weights").textContent.trim());
  data.digits.images = await inflate(data.digits.images);
  twin = new VAE(data.models.digits_2d, bytes);
  main = new VAE(data.models.digits, bytes);
  panels = { two: { model: twin }, many: { model: main } };
  for (const [name, { typical }] of [["two", data.models.digits_2d], ["many", data.models.digits]]) {
    part(name, ".typical-reconstruction").textContent = typical.reconstruction.toFixed(0);
    part(name, ".typical-kl").textContent = typical.kl.toFixed(1);
    part(name, ".again").addEventListener("click", () => newSamples(true));
  }
  makeLegend();
  makeSliders();
  listenToPad();
  listenToMap();
  listenToTabs();
  testDigit(0);
  past = [];
  $("undo").disabled = true;
  document.body.classList.add("ready");
}

start().catch((error) => {
  $("trouble").textContent = `This page needs a browser of 2023 or later: ${error.message}`;
  $("trouble").hidden = false;
});
