"use strict";

// One noise, two priors.

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
    for (const prior of ["standard", "learned"]) pair.append(newDigit(`Noise ${i}, ${prior} prior`));
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
