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

const isBlank = () => !image.some((ink) => ink > 0);

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

// A finger that scrolls the page has already moved the slider on which it began: put it back, and what was kept of it.
function settle(slider, keep, restore) {
  let before;
  slider.addEventListener("pointerdown", () => (before = [slider.value, keep()]));
  slider.addEventListener("pointercancel", () => {
    slider.value = before[0];
    restore(before[1]);
  });
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

// Images on canvases.

function paint(canvas, pixels) {
  const context = canvas.getContext("2d");
  const picture = context.createImageData(28, 28);
  pixels.forEach((ink, i) => {
    const grey = Math.round(255 * (1 - ink));
    picture.data.set([grey, grey, grey, 255], 4 * i);
  });
  context.putImageData(picture, 0, 0);
}

const show = (canvas, logits) => paint(canvas, logits.map(sigmoid));

function newCanvas(side) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = side;
  return canvas;
}

function newDigit(name, kind = "") {
  const canvas = newCanvas(28);
  canvas.className = `digit ${kind}`;
  canvas.role = "img";
  canvas.ariaLabel = name;
  return canvas;
}

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

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
function classColours(paper = colour("--paper"), ink = colour("--ink")) {
  return data.colours.map((shade) => {
    const mixed = (share) => `color-mix(in srgb, ${shade === "#000000" ? ink : shade} ${share}%, ${ink})`;
    let share = 100;
    while (contrast(mixed(share), paper) < 3.5) share -= 5;
    return mixed(share);
  });
}
