"use strict";

// Two dimensions: a map.

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

function write(context, words, x, y, paper = colour("--paper")) {
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.lineWidth = 4;
  context.strokeStyle = paper;
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
