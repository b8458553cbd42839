"use strict";

// The tab "Watch it learn": learner.js trains in a worker, and this shows what it reports.

const PLANE = 450; // the plane's own coordinates
const MEAN_IMAGE = 206; // nats, from notebook 01
const USUAL = { beta: 1, noise: true, rate: 3e-3, average: false, units: 128 };

let worker = null;
let learned = null; // the last report
let curve = []; // {steps, reconstruction, kl, tested} of each report
let learning = false;
let rested = false; // while nobody looked
let learnSeed = 1;
let summary = null; // the timer of the next words for screen readers
let shades = null; // the classes' colours on white

// Of positions on sliders, and back: beta is 0 at -1, and from 0.01 to 100; the rate from 1e-4 to 1.
const betaOf = (position) => (position < 0 ? 0 : 10 ** (position / 25 - 2));
const ofBeta = (beta) => 25 * (Math.log10(beta) + 2);
const rateOf = (position) => 10 ** (position / 25 - 4);
const ofRate = (rate) => 25 * (Math.log10(rate) + 4);
const isNumber = ({ reconstruction, kl }) => Number.isFinite(reconstruction + kl);

function levers() {
  return {
    beta: betaOf($("beta").value),
    rate: rateOf($("rate").value),
    noise: $("with-noise").checked,
    average: $("average").checked,
    units: Number($("units").value),
  };
}

function changeLevers(preset) {
  for (const name of ["beta", "rate"]) {
    const value = String(Number(levers()[name].toPrecision(2)));
    $(name).nextElementSibling.textContent = value;
    $(name).setAttribute("aria-valuetext", value);
  }
  for (const button of $("presets").children) button.setAttribute("aria-pressed", button === preset);
  worker?.postMessage({ levers: levers() });
  if (!preset) return; // the words stay: some say which lever to move
  const { notebook, section } = preset.dataset;
  $("watch").textContent = `${preset.textContent}: ${preset.title}`;
  $("explained").textContent = `Notebook ${notebook.slice(0, 2)}: ${section}`;
  // The notebooks are pages where the site is; a clone opens without them.
  if (location.protocol.startsWith("http")) {
    $("explained").href = `../notebooks/${notebook}.html#${section.toLowerCase().replace(/\W+/g, "-")}`;
  }
}

function choosePreset(preset) {
  const { beta, noise, rate, average, units } = { ...USUAL, ...JSON.parse(preset.dataset.levers) };
  $("beta").value = ofBeta(beta);
  $("rate").value = ofRate(rate);
  $("with-noise").checked = noise;
  $("average").checked = average;
  $("units").value = units;
  changeLevers(preset);
  beginAnew();
}

function beginAnew() {
  worker.postMessage({ anew: learnSeed });
  setLearning(true);
}

function setLearning(on) {
  learning = on;
  $("learn-run").textContent = on ? "Pause" : "Resume";
  worker.postMessage({ run: on });
}

function hear({ data: report }) {
  learned = report;
  if (report.steps) curve.push({ steps: report.steps, ...report.loss, tested: report.tested });
  else curve = [];
  if (learning && !report.running && report.steps) setLearning(false);
  enable($("learn-run"), report.steps < STOP && (!report.steps || isNumber(report.loss)));
  request("learn", drawLearning);
  summary ||= setTimeout(() => {
    summary = null;
    if (shown === "learn") $("status").textContent = inWords();
  }, 4000);
}

function inWords() {
  const { steps, loss, tested } = learned;
  if (!steps) return "Nothing learned yet.";
  const seen = `${steps} steps, ${(steps * BATCH).toLocaleString("en")} images`;
  if (!isNumber(loss)) return `${seen}: the loss is NaN. Lower the learning rate, and press Restart.`;
  const { beta, average } = levers();
  const weighted = loss.reconstruction / (average ? PIXELS : 1) + beta * loss.kl;
  const minimised = `; minimised: reconstruction${average ? " / 784" : ""} + ${Number(beta.toPrecision(2))} KL = `;
  return (
    `${seen}: reconstruction ${loss.reconstruction.toFixed(1)} + KL ${loss.kl.toFixed(1)} nats per image` +
    (beta === 1 && !average ? "." : `${minimised}${weighted.toPrecision(3)}.`) +
    ` Their sum for test digits, with noise: ${tested.toFixed(0)}.` +
    (steps === STOP ? " Training stops here, to save battery." : "")
  );
}

function drawLearning() {
  if (shown !== "learn") return;
  $("learn-words").textContent = inWords();
  const digit = (i) => Float32Array.from(learned.decoded.subarray(PIXELS * i, PIXELS * (i + 1)), (ink) => ink / 255);
  $("in-out").querySelectorAll(".out").forEach((canvas, i) => paint(canvas, digit(TILES ** 2 + i)));
  $("invented").childNodes.forEach((canvas, i) => paint(canvas, digit(TILES ** 2 + 8 + i)));
  drawPlane();
  drawCurve();
}

// What the decoder makes of TILES x TILES places, faint.
function drawTiles(context) {
  const canvas = newCanvas(28 * TILES);
  const picture = canvas.getContext("2d").createImageData(28 * TILES, 28 * TILES);
  for (let i = 0; i < PIXELS * TILES ** 2; i++) {
    const [tile, pixel] = [Math.floor(i / PIXELS), i % PIXELS];
    const row = 28 * Math.floor(tile / TILES) + Math.floor(pixel / 28);
    const at = 4 * (28 * TILES * row + 28 * (tile % TILES) + (pixel % 28));
    picture.data[at] = picture.data[at + 1] = picture.data[at + 2] = 255 - 0.3 * learned.decoded[i];
    picture.data[at + 3] = 255;
  }
  canvas.getContext("2d").putImageData(picture, 0, 0);
  context.drawImage(canvas, 0, 0, PLANE, PLANE);
}

function drawPlane() {
  const { codes, reach } = learned;
  const context = $("plane").getContext("2d");
  context.setTransform($("plane").width / PLANE, 0, 0, $("plane").width / PLANE, 0, 0);
  drawTiles(context);
  const scale = PLANE / (2 * reach);
  context.font = `bold ${16 * Math.max(1, PLANE / ($("plane").clientWidth || PLANE))}px system-ui, sans-serif`;
  for (const radius of [1, 2, 3]) {
    context.strokeStyle = context.fillStyle = "#55595f";
    context.lineWidth = 1;
    context.beginPath();
    context.arc(PLANE / 2, PLANE / 2, radius * scale, 0, 2 * Math.PI);
    context.stroke();
    const below = [PLANE / 2 - 0.34 * radius * scale, PLANE / 2 + 0.94 * radius * scale];
    if (reach === 4) write(context, `${radius} sd`, ...below, "white");
  }
  shades ||= classColours("white", "#1a1a1a");
  const groups = shades.map(() => []);
  data.learning.labels.forEach((label, i) => {
    const place = [PLANE / 2 + scale * codes[2 * i], PLANE / 2 - scale * codes[2 * i + 1]];
    groups[label].push(place);
    context.fillStyle = shades[label];
    context.beginPath();
    context.arc(...place, 2.5, 0, 2 * Math.PI);
    context.fill();
  });
  const named = []; // classes that coincide are named together
  groups.forEach((group, label) => {
    const median = [0, 1].map((axis) => group.map((place) => place[axis]).sort((a, b) => a - b)[group.length >> 1]);
    const same = named.find(({ place }) => squaredDistance(place, median) < 200);
    if (same) same.labels.push(label);
    else named.push({ place: median, labels: [label] });
  });
  for (const { place, labels } of named) {
    context.fillStyle = labels.length > 1 ? "#1a1a1a" : shades[labels[0]];
    const [name, above] = labels.length > 3 ? [`${labels.length} classes here`, 22] : [labels.join(","), 0];
    write(context, name, place[0], place[1] - above, "white");
  }
  context.fillStyle = "#1a1a1a";
  write(context, `−${reach} to ${reach}`, 60, 14, "white");
}

// Both parts of the loss, one on the other, against the steps; and, as a line, what test digits cost with noise.
function drawCurve() {
  const context = $("curve").getContext("2d");
  const [width, height, top] = [300, 150, 320];
  context.setTransform($("curve").width / width, 0, 0, $("curve").height / height, 0, 0);
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  const last = Math.max(200, learned.steps);
  const x = (steps) => 30 + ((width - 34) * steps) / last;
  const y = (nats) => height - 14 - ((height - 18) * Math.min(top, nats)) / top;
  const points = curve.filter(isNumber);
  for (const withKl of [true, false]) {
    context.beginPath();
    context.moveTo(x(0), y(0));
    for (const { steps, reconstruction, kl } of points) context.lineTo(x(steps), y(reconstruction + (withKl ? kl : 0)));
    context.lineTo(x(points.at(-1)?.steps ?? 0), y(0));
    context.fillStyle = withKl ? "#c2410c" : "#9ecae1";
    context.fill();
  }
  context.beginPath();
  for (const { steps, tested } of points) context.lineTo(x(steps), y(tested));
  context.stroke();
  context.fillStyle = "#1a1a1a";
  context.fillRect(30, y(MEAN_IMAGE), width - 34, 1);
  context.font = "11px system-ui, sans-serif";
  context.textAlign = "right";
  context.textBaseline = "middle";
  for (const nats of [0, 100, 200, 300]) context.fillText(nats, 26, y(nats));
  context.fillText("206, the mean image", width - 6, y(MEAN_IMAGE) - 8);
  context.fillText(`${last} steps`, width - 4, height - 6);
  if (learned.steps && !isNumber(learned.loss)) context.fillText("NaN: not a number", width / 2, height / 2);
}

// It begins when the tab is opened, and rests while the tab or the page is hidden.
async function watchOrRest() {
  const seen = shown === "learn" && !document.hidden;
  if (seen && !worker) await startLearning();
  else if (seen ? rested : learning) {
    rested = !seen;
    setLearning(seen);
  }
}

async function startLearning() {
  const code = ["network-code", "learner-code"].map((id) => $(id).textContent).join("\n").replaceAll('"use strict";', "");
  worker = new Worker(URL.createObjectURL(new Blob([code], { type: "text/javascript" })));
  worker.onmessage = hear;
  const uniform = seeded(1);
  const noise = Float32Array.from({ length: JUDGED * LATENT }, () => normal(uniform));
  data.learning.images = await inflate(data.learning.images);
  data.learning.test = bits(await inflate(data.learning.test));
  worker.postMessage({ data: { bytes: data.learning.images, test: data.learning.test, noise } });
  $("in-out").querySelectorAll(".in").forEach((canvas, i) => {
    paint(canvas, data.learning.test.subarray(PIXELS * i, PIXELS * (i + 1)));
  });
  choosePreset($("healthy"));
  watchOrRest(); // somebody may have left already
}

function listenToLearning() {
  for (let i = 1; i <= 8; i++) $("in-out").append(newDigit(`Test digit in, number ${i}`, "in"));
  for (let i = 1; i <= 8; i++) $("in-out").append(newDigit(`Test digit out, number ${i}`, "out"));
  for (let i = 1; i <= 6; i++) $("invented").append(newDigit(`Sample from the prior, number ${i}`));
  for (const button of $("presets").children) button.addEventListener("click", () => choosePreset(button));
  $("learn").addEventListener("input", () => changeLevers());
  $("units").addEventListener("change", beginAnew);
  $("learn-run").addEventListener("click", (event) => {
    if (event.target.getAttribute("aria-disabled") !== "true") setLearning(!learning);
  });
  $("learn-step").addEventListener("click", () => {
    setLearning(false);
    worker.postMessage({ step: true });
  });
  $("learn-anew").addEventListener("click", () => ++learnSeed && beginAnew());
  const pressed = () => $("presets").querySelector("[aria-pressed=true]");
  for (const id of ["beta", "rate"]) settle($(id), pressed, changeLevers);
  document.addEventListener("visibilitychange", watchOrRest);
  changeLevers();
}
