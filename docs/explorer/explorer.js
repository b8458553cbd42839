"use strict";

const $ = (id) => document.getElementById(id);
const part = (tab, selector) => $(tab).querySelector(selector);
const still = matchMedia("(prefers-reduced-motion: reduce)");
const palettes = ["(prefers-color-scheme: dark)", "(forced-colors: active)"].map((query) => matchMedia(query));
const REACH = 4; // the map goes from -4 to 4
const PAD = 280; // the pad's and the map's own coordinates, whatever their size on the screen
const MAP = 400;
const SHARPNESS = 3; // the map's canvas has so many pixels for each of its coordinates
const LENS = 130;
const POOR = 120; // nats that 32 dimensions save: less with 19 of 20 test digits

let data, twin, main, flow;
let panels; // for each tab with a drawing its model, and what that makes of the image: {code, samples, logits}
let shown = "two";
let strokes = [];
let stroke = null; // the one that is being drawn
let image = blank(); // what the models see
let tested = { digit: null, number: 0 }; // the test digit that was chosen last
let past = []; // what Undo goes back to: {strokes, image, tested}

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

// What is hidden must not take the focus with it, or the keyboard would start again from the top of the page.
function reveal(element, on, next) {
  if (!on && element.contains(document.activeElement)) next.focus({ preventScroll: true });
  element.hidden = !on;
}

// A button that has nothing to do keeps the focus.
function enable(button, on) {
  button.setAttribute("aria-disabled", !on);
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

function luminance(css) {
  const context = newCanvas(1).getContext("2d");
  context.fillStyle = css;
  context.fillRect(0, 0, 1, 1);
  const linear = (byte) => (byte <= 10 ? byte / 255 / 12.92 : ((byte / 255 + 0.055) / 1.055) ** 2.4);
  const [red, green, blue] = Array.from(context.getImageData(0, 0, 1, 1).data, linear);
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrast(a, b) {
  const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (high + 0.05) / (low + 0.05);
}

// The colours of the notebooks' figures, mixed with ink until they can be told from the paper.
function classColours() {
  const [paper, ink] = [colour("--paper"), colour("--ink")];
  return data.colours.map((shade) => {
    const mixed = (share) => `color-mix(in srgb, ${shade === "#000000" ? ink : shade} ${share}%, ${ink})`;
    let share = 100;
    while (contrast(mixed(share), paper) < 3.5) share -= 5;
    return mixed(share);
  });
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
    down(event);
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
  context.setTransform($("pad").width / PAD, 0, 0, $("pad").width / PAD, 0, 0);
  context.clearRect(0, 0, PAD, PAD);
  if (!strokes.length) {
    const small = newCanvas(28);
    paint(small, image);
    context.imageSmoothingEnabled = false;
    context.drawImage(small, 0, 0, PAD, PAD);
    context.font = "bold 24px system-ui, sans-serif";
    context.textAlign = "center";
    context.lineWidth = 6;
    context.strokeStyle = "white";
    context.fillStyle = "#c2410c";
    const [words, y] = isBlank() ? ["Draw a digit here", PAD / 2] : ["Draw over it", PAD - 12];
    context.strokeText(words, PAD / 2, y);
    context.fillText(words, PAD / 2, y);
  }
  context.lineWidth = 20;
  context.lineCap = context.lineJoin = "round";
  context.strokeStyle = "black";
  for (const stroke of strokes) {
    context.beginPath();
    stroke.forEach(([x, y]) => context.lineTo(x, y));
    const [x, y] = stroke.at(-1);
    context.lineTo(x + 0.01, y); // a line of no length, as from a tap, would leave no ink
    context.stroke();
  }
}

function remember() {
  past.push({ strokes: [...strokes], image, tested });
  stroke = null;
}

function setImage(pixels, unhurried) {
  image = pixels;
  point = mark = null;
  setWalk(null);
  enable($("clear"), !isBlank());
  enable($("undo"), past.length);
  const untouched = !strokes.length && !isBlank();
  for (const button of $("digits").children) {
    button.setAttribute("aria-pressed", untouched && Number(button.textContent) === tested.digit);
  }
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
    if (isBlank()) return;
    remember();
    strokes = [];
    setImage(blank());
  });
  $("undo").addEventListener("click", () => {
    if (!past.length) return;
    stroke = null;
    let before;
    ({ strokes, image: before, tested } = past.pop());
    setImage(before, true);
  });
  for (let digit = 0; digit < 10; digit++) {
    const button = document.createElement("button");
    button.textContent = digit;
    button.title = `Show a test digit ${digit}; press again for another.`;
    button.addEventListener("click", () => testDigit(digit));
    $("digits").append(button);
  }
}

// One that has been drawn over or cleared comes back; one that is shown gives way to the next of its class.
function testDigit(digit) {
  const those = data.digits.labels.flatMap((label, i) => (label === digit ? [i] : []));
  const next = tested.number + (strokes.length || isBlank() ? 0 : 1);
  const number = digit === tested.digit ? next % those.length : 0;
  remember();
  tested = { digit, number };
  strokes = [];
  const start = 784 * those[number];
  setImage(Float32Array.from(data.digits.images.subarray(start, start + 784), (grey) => grey / 255), true);
}

// ------------------------------------------------------------------------------------------------ what the model says

// Only for the tab that is shown: there are 60 frames a second to be drawn.
function encode(unhurried) {
  const panel = panels[shown];
  panel.image = image;
  panel.code = isBlank() ? null : panel.model.encode(image);
  if (shown === "two") panel.lost = isBlank() ? null : whatIsLost();
  else setSliders();
  newSamples(unhurried);
}

// Draw six samples, one after the other if there is time to watch.
function newSamples(unhurried) {
  const panel = panels[shown];
  const { code, model } = panel;
  const canvases = $(shown).querySelectorAll(".samples canvas");
  enable(part(shown, ".again"), code);
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
function say(words) {
  clearTimeout(announcement);
  announcement = setTimeout(() => ($("status").textContent = words()), 700);
}

function announce() {
  const [from, panel] = [shown, panels[shown]];
  if (!panel) return; // from noise nothing is drawn back
  say(() => {
    const read = (selector) => part(from, selector).textContent;
    const numbers = `The drawing: reconstruction ${read(".reconstruction-nats")} nats, KL ${read(".kl-nats")} nats.`;
    const note = part(from, ".note").hidden ? "" : read(".note span");
    return `Decoded: ${read(".what")}. ${panel.code ? numbers : ""} ${note}`.trim();
  });
}

// What a model pays for the drawing, in nats, when it sends the mean: about its -ELBO.
function cost(model, { mean, logVar }) {
  const kl = klByDimension({ mean, logVar }).reduce((sum, nats) => sum + nats, 0);
  return kl + reconstructionCost(image, model.decode(mean));
}

// Two dimensions lose a drawing when they put it among other digits than 32 clearly do. The nats alone cannot tell: test
// digits that come back as another digit hardly cost more than the rest. But they do tell what comes back poor.
function whatIsLost() {
  const [flat, full] = [panels.two.code, main.encode(image)];
  const here = classNear(flat.mean);
  const active = data.models.digits.active.map(({ dimension }) => full.mean[dimension]);
  const { digit: there, votes } = nearest(active, data.dots.many, 5);
  const saved = Math.round(cost(twin, flat) - cost(main, full));
  if (here !== null && here !== there && votes > 3 && saved > 0) return { here, there, saved };
  return saved > POOR ? { saved } : null;
}

// ------------------------------------------------------------------------------------------------ two dimensions: a map

let point = null; // the code under the pointer
let hovering = false; // a mouse that leaves the map leads back to the drawing by itself
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
  const { code, lost } = panels.two;
  const z = point || code?.mean;
  const canvas = part("two", ".reconstruction");
  if (z) show(canvas, twin.decode(z));
  else paint(canvas, blank());
  const digit = z && classNear(z);
  const region = digit === null ? "far from all test digits" : `placed among the ${digit}s`;
  const place = point ? `from the point (${point[0].toFixed(2)}, ${point[1].toFixed(2)})` : "from the drawing";
  part("two", ".what").textContent = z ? `${place}, ${region}` : "nothing drawn yet";
  reveal(part("two", ".back"), point && !hovering, $("map"));
  reveal(part("two", ".note"), lost && !point, $("map"));
  part("two", ".what").hidden = lost && !point; // the note says it, too
  if (lost) {
    part("two", ".note span").textContent =
      "there" in lost
        ? `Two dimensions are too few: here it is among the ${lost.here}s, in 32 among the ${lost.there}s.`
        : "Two dimensions draw this poorly; in 32 it costs far fewer nats.";
  }
}

// The most frequent class among the nearest of the dots, how many those are, and how far the first is.
function nearest(z, codes, count) {
  const squared = (code) => code.reduce((sum, value, i) => sum + (value - z[i]) ** 2, 0);
  const near = codes.map((code, i) => [squared(code), data.dots.labels[i]]).sort((a, b) => a[0] - b[0]);
  const counts = new Array(10).fill(0);
  for (const [, label] of near.slice(0, count)) counts[label]++;
  const votes = Math.max(...counts);
  return { digit: counts.indexOf(votes), votes, squared: near[0][0] };
}

// On the map: null where no dot is near.
function classNear(z) {
  const { digit, squared } = nearest(z, data.dots.two, 25);
  return squared > 0.25 ? null : digit;
}

// The dot with the most dots of its class around it: some classes have two regions, and nothing at their mean. Where
// two classes share a region, their names make room for each other.
function centres() {
  const found = data.colours.map((_, digit) => {
    const codes = data.dots.two.filter((_, i) => data.dots.labels[i] === digit);
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
  const canvas = newCanvas(SHARPNESS * MAP);
  backdrop = { canvas, width: $("map").clientWidth };
  const context = canvas.getContext("2d");
  context.scale(SHARPNESS, SHARPNESS);
  context.fillStyle = colour("--paper");
  context.fillRect(0, 0, MAP, MAP);
  if ($("manifold").checked) {
    manifold ||= drawManifold();
    context.drawImage(manifold, 0, 0, MAP, MAP);
  }
  drawAxes(context);
  const colours = classColours();
  data.dots.labels.forEach((label, i) => {
    context.fillStyle = colours[label];
    context.beginPath();
    context.arc(...toMap(data.dots.two[i]), 1.6, 0, 2 * Math.PI);
    context.fill();
  });
  nameAxes(context);
  context.font = `bold ${17 * enlarged()}px system-ui, sans-serif`;
  context.fillStyle = colour("--ink");
  centres().forEach((centre, digit) => write(context, digit, ...toMap(centre)));
}

// On a small map, words are larger than its dots.
function enlarged() {
  return Math.max(1, 360 / ($("map").clientWidth || MAP));
}

function write(context, words, x, y) {
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.lineWidth = 4;
  context.strokeStyle = colour("--paper");
  context.strokeText(words, x, y);
  context.fillText(words, x, y);
}

// The axes, their ticks, and the prior: circles of one, two and three standard deviations.
function drawAxes(context) {
  const line = (from, to) => {
    context.moveTo(...toMap(from));
    context.lineTo(...toMap(to));
  };
  context.strokeStyle = colour("--edge");
  context.lineWidth = 0.8;
  context.beginPath();
  line([-REACH, 0], [REACH, 0]);
  line([0, -REACH], [0, REACH]);
  for (let tick = 1 - REACH; tick < REACH; tick++) {
    line([tick, -REACH], [tick, 0.12 - REACH]);
    line([-REACH, tick], [0.12 - REACH, tick]);
    context.moveTo(...toMap([Math.abs(tick), 0]));
    context.arc(...toMap([0, 0]), (Math.abs(tick) * MAP) / (2 * REACH), 0, 2 * Math.PI);
  }
  context.stroke();
}

function nameAxes(context) {
  context.font = `${12 * enlarged()}px system-ui, sans-serif`;
  context.fillStyle = colour("--quiet");
  for (let tick = 1 - REACH; tick < REACH; tick++) {
    const name = String(tick).replace("-", "−");
    write(context, name, toMap([tick, 0])[0], MAP - 15);
    write(context, name, 17, toMap([0, tick])[1]);
    if (tick > 0) write(context, `${tick} sd`, ...toMap([-0.34 * tick, -0.94 * tick]));
  }
  write(context, "z₁", MAP - 12, MAP / 2 + 12);
  write(context, "z₂", MAP / 2 + 14, 12);
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
  if (luminance(colour("--paper")) < 0.5) {
    context.globalCompositeOperation = "difference";
    context.fillStyle = "white";
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.globalCompositeOperation = "source-over";
  }
  context.fillStyle = colour("--paper");
  context.globalAlpha = 0.72;
  context.fillRect(0, 0, canvas.width, canvas.height);
  return canvas;
}

function drawMap() {
  if (backdrop?.width !== $("map").clientWidth) drawBackdrop();
  const context = $("map").getContext("2d");
  context.setTransform(SHARPNESS, 0, 0, SHARPNESS, 0, 0);
  context.drawImage(backdrop.canvas, 0, 0, MAP, MAP);
  const { code } = panels.two;
  $("lens").hidden = !code;
  if (code) drawLens(context);
  if (walk) outline(context, () => [walk.from, walk.to].forEach((z) => context.lineTo(...toMap(z))));
  if (mark) outline(context, () => context.arc(...toMap(mark), 3, 0, 2 * Math.PI));
  if (point) outline(context, () => context.arc(...toMap(point), 6, 0, 2 * Math.PI));
}

// A line that can be seen on whatever is behind it.
function outline(context, path, name = "--ink") {
  context.beginPath();
  path();
  context.lineWidth = 4;
  context.strokeStyle = colour("--paper");
  context.stroke();
  context.lineWidth = 2;
  context.strokeStyle = colour(name);
  context.stroke();
}

// The ellipses of one and two standard deviations around a place on the canvas.
function drawEllipses(context, [x, y], zoom) {
  const { logVar } = panels.two.code;
  for (const deviations of [2, 1]) {
    const radii = logVar.map((value) => (zoom * deviations * Math.exp(0.5 * value) * MAP) / (2 * REACH));
    context.beginPath();
    context.ellipse(x, y, ...radii, 0, 0, 2 * Math.PI);
    context.fillStyle = deviations === 2 ? colour("--paper") : colour("--belief");
    context.fill();
    context.lineWidth = 1.5;
    context.strokeStyle = colour("--accent");
    context.stroke();
  }
}

// The ellipses on the map, and larger in the lens, with the samples: the model is mostly so sure that all is small.
function drawLens(map) {
  const { samples, dropped } = panels.two;
  const { mean, logVar } = panels.two.code;
  const [x, y] = toMap(mean);
  const widest = (2 * Math.exp(0.5 * Math.max(...logVar)) * MAP) / (2 * REACH);
  const zoom = Math.max(1, Math.min(10, Math.floor(LENS / 3.2 / widest)));
  const side = LENS / zoom;
  outline(map, () => map.rect(x - side / 2, y - side / 2, side, side), "--accent");
  drawEllipses(map, [x, y], 1);
  const lens = part("lens", "canvas").getContext("2d");
  lens.setTransform(SHARPNESS, 0, 0, SHARPNESS, 0, 0);
  lens.fillStyle = colour("--paper");
  lens.fillRect(0, 0, LENS, LENS);
  drawEllipses(lens, [LENS / 2, LENS / 2], zoom);
  lens.fillStyle = colour("--ink");
  samples.forEach((z, i) => {
    const way = Math.max(0, Math.min(1, dropped - i)); // each leaves the mean after the one before
    const [dx, dy] = z.map((value, d) => (way * zoom * (value - mean[d]) * MAP) / (2 * REACH));
    lens.beginPath();
    lens.arc(LENS / 2 + dx, LENS / 2 - dy, way && 3, 0, 2 * Math.PI);
    lens.fill();
  });
  part("lens", "figcaption").textContent = `distribution ×${zoom}`;
  // Where it lies over the map, in a corner, it makes way for what is looked at.
  $("lens").classList.toggle("left", (point || mean)[0] > 0);
}

function moveTo(z, hover = false) {
  hovering = hover;
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
  setWalkTo(1);
  reveal($("walking"), line, $("map"));
}

function setWalkTo(share) {
  $("walk").value = 100 * share;
  $("walk").setAttribute("aria-valuetext", `${Math.round(100 * share)} per cent of the way`);
}

function along(share) {
  setWalkTo(share);
  moveTo(walk.from.map((value, i) => value + share * (walk.to[i] - value)));
}

function playWalk() {
  const mine = (playing = { ...walk });
  animate(3000, (share) => {
    if (playing !== mine) return false;
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
  const here = (event) => fromMap(position(event, map, MAP));
  follow(map, {
    down(event) {
      map.focus({ preventScroll: true });
      setWalk(null);
      mark = here(event);
      moveTo(mark);
    },
    move(event, pressed) {
      if (pressed && mark) walk = { from: mark, to: here(event) };
      else if (playing) return;
      moveTo(here(event), !pressed && event.pointerType === "mouse");
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
  addEventListener("resize", () => shown === "two" && request("map", drawMap));
  for (const palette of palettes) {
    palette.addEventListener("change", () => {
      backdrop = manifold = null;
      makeLegend();
      drawMap();
    });
  }
}

function makeLegend() {
  $("legend").replaceChildren(
    ...classColours().map((shade, digit) => {
      const item = document.createElement("li");
      item.innerHTML = `<span style="background: ${shade}"></span>${digit}`;
      return item;
    })
  );
}

// ------------------------------------------------------------------------------------------- many dimensions: sliders

const MOVED = "from the sliders";

function makeSliders() {
  const { active } = data.models.digits;
  active.forEach(({ dimension, nats }, rank) => {
    const label = document.createElement("label");
    label.title = `Dimension ${rank + 1} costs ${nats} nats on average; move it to see what it changes.`;
    label.innerHTML = `<span>${nats.toFixed(2)} nats</span><span></span><input type="range" min="-4" max="4" step="any">`;
    const input = label.querySelector("input");
    input.dataset.dimension = dimension;
    input.setAttribute("aria-label", `Dimension ${rank + 1}, ${nats.toFixed(2)} nats`);
    input.addEventListener("input", () => request("sliders", () => decodeMain(MOVED)));
    // A finger that scrolls the page has already moved the slider on which it began.
    let before;
    input.addEventListener("pointerdown", () => (before = [input.value, part("many", ".what").textContent]));
    input.addEventListener("pointercancel", () => {
      input.value = before[0];
      request("sliders", () => decodeMain(before[1]));
    });
    $("sliders").append(label);
  });
  $("unused").textContent =
    `These are the ${active.length} dimensions in use, each with its KL, averaged over the test set. A bar is the drawing's mean, ` +
    `filled from 0, ± one standard deviation. The other ${main.dimensions - active.length} dimensions are unused: ` +
    `whatever you draw, they stay close to the prior, 0 ± 1.`;
  part("many", ".back").addEventListener("click", setSliders);
}

// One decimal, and no -0.0.
const rounded = (value) => (Math.round(10 * value) / 10 || 0).toFixed(1).replace("-", "−");

function setSliders() {
  const { code } = panels.many;
  for (const input of $("sliders").querySelectorAll("input")) {
    const { dimension } = input.dataset;
    const [mean, deviation] = code ? [code.mean[dimension], Math.exp(0.5 * code.logVar[dimension])] : [0, 1];
    input.value = mean;
    input.dataset.belief = `${rounded(mean)} plus or minus ${rounded(deviation)}`;
    input.style.setProperty("--mean", mean);
    input.style.setProperty("--deviation", deviation);
  }
  decodeMain(code ? "from the drawing" : "from zero, the middle of the prior");
}

function decodeMain(what) {
  const z = Float32Array.from(panels.many.code?.mean || new Float32Array(main.dimensions));
  for (const input of $("sliders").querySelectorAll("input")) {
    z[input.dataset.dimension] = input.value;
    input.previousElementSibling.textContent = rounded(input.value);
    input.setAttribute("aria-valuetext", `${rounded(input.value)}; the drawing: ${input.dataset.belief}`);
  }
  show(part("many", ".reconstruction"), main.decode(z));
  part("many", ".what").textContent = what;
  reveal(part("many", ".back"), what === MOVED, part("sliders", "input"));
  announce();
}

// ------------------------------------------------------------------------------------------- one noise, two priors

let noises;

function fromNoise(noise, canvases) {
  [main, flow].forEach((model, i) => show(canvases[i], model.decode(model.fromNoise(noise))));
}

function newNoise(seed) {
  const uniform = seeded(seed);
  noises = Array.from({ length: 12 }, () => Float32Array.from({ length: main.dimensions }, () => normal(uniform)));
  noises.forEach((noise, i) => fromNoise(noise, $("pairs").children[i].children));
  $("seed").textContent = `seed ${seed}`;
  mix(0);
}

// With cosine and sine, what lies between two noises varies as much as they do.
function mix(share) {
  const [a, b] = [Math.cos((share * Math.PI) / 2), Math.sin((share * Math.PI) / 2)];
  fromNoise(noises[0].map((value, i) => a * value + b * noises.at(-1)[i]), $("between").querySelectorAll("canvas"));
  $("mix").value = 100 * share;
  $("mix").setAttribute("aria-valuetext", `${Math.round(100 * share)} per cent of the way`);
}

function makeNoise() {
  for (let i = 1; i <= 12; i++) {
    const pair = document.createElement("div");
    for (const prior of ["standard", "learned"]) {
      const canvas = newCanvas(28);
      canvas.className = "digit";
      canvas.role = "img";
      canvas.ariaLabel = `Noise ${i}, ${prior} prior`;
      pair.append(canvas);
    }
    $("pairs").append(pair);
  }
  let seed = 1;
  newNoise(seed);
  $("new-noise").addEventListener("click", () => {
    newNoise(++seed);
    say(() => `Twelve new pairs, seed ${seed}.`);
  });
  $("mix").addEventListener("input", () => request("mix", () => mix($("mix").value / 100)));
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
    playing = null;
    document.querySelector(".draw").hidden = shown === "noise";
    if (shown !== "noise" && panels[shown].image !== image) encode(true);
    else if (shown === "two") drawMap();
  };
  tabs.forEach((tab, i) => {
    tab.addEventListener("click", () => select(tab));
    tab.addEventListener("keydown", (event) => {
      if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
      const other = tabs.at((i + (event.key === "ArrowRight" ? 1 : -1)) % tabs.length);
      select(other);
      other.focus();
    });
  });
  part("two", ".deeper").addEventListener("click", () => {
    select($("tab-many"));
    $("tab-many").focus();
  });
}

async function inflate(text) {
  const stream = new Blob([decodeBase64(text)]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// Codes come as hundredths, in 16 bits.
async function unpackCodes(text) {
  const { buffer } = await inflate(text);
  const [values, count] = [Float32Array.from(new Int16Array(buffer), (value) => value / 100), data.dots.labels.length];
  const width = values.length / count;
  return Array.from({ length: count }, (_, i) => values.slice(i * width, (i + 1) * width));
}

async function start() {
  data = JSON.parse($("data").textContent);
  const bytes = await inflate($("weights").textContent.trim());
  data.digits.images = await inflate(data.digits.images);
  twin = new VAE(data.models.digits_2d, bytes);
  main = new VAE(data.models.digits, bytes);
  flow = new VAE(data.models.digits_flow, bytes);
  for (const name of ["two", "many"]) data.dots[name] = await unpackCodes(data.dots[name]);
  panels = { two: { model: twin }, many: { model: main } };
  for (const [name, { typical }] of [["two", data.models.digits_2d], ["many", data.models.digits]]) {
    part(name, ".typical-reconstruction").textContent = typical.reconstruction.toFixed(0);
    part(name, ".typical-kl").textContent = typical.kl.toFixed(1);
    part(name, ".again").addEventListener("click", () => panels[name].code && newSamples(true));
  }
  makeLegend();
  makeSliders();
  listenToPad();
  listenToMap();
  listenToTabs();
  makeNoise();
  $("help").addEventListener("toggle", () => $("help").scrollIntoView({ block: "nearest" }));
  testDigit(2);
  past = [];
  enable($("undo"), false);
  document.body.classList.add("ready");
}

start().catch((error) => {
  $("status").textContent = `This page needs a browser from 2023 on: ${error.message}`;
  $("status").classList.add("trouble");
});
