"use strict";

// Many dimensions: sliders.

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
    const what = part("many", ".what");
    settle(input, () => what.textContent, (words) => request("sliders", () => decodeMain(words)));
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
