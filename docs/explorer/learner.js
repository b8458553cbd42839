"use strict";

// A VAE with two latent dimensions that trains: 784 - units - 2 - units - 784, ReLU, Adam as in Keras. The page runs this
// in a worker. A matrix is a Float32Array, row by row, weights as in Keras: inputs x outputs.

const PIXELS = 784;
const LATENT = 2;

// out += a b, for a (rows, inner) and b (inner, columns). Zeros in a, background or inactive units, cost nothing.
function multiply(a, b, out, rows, inner, columns) {
  for (let i = 0; i < rows; i++) {
    const o = i * columns;
    for (let k = 0; k < inner; k++) {
      const value = a[i * inner + k];
      if (value === 0) continue;
      for (let j = 0, w = k * columns; j < columns; j++, w++) out[o + j] += value * b[w];
    }
  }
}

// out += aᵀ b, for a (rows, inner) and b (rows, columns): the gradient of weights.
function multiplyTransposed(a, b, out, rows, inner, columns) {
  for (let i = 0; i < rows; i++) {
    const r = i * columns;
    for (let k = 0; k < inner; k++) {
      const value = a[i * inner + k];
      if (value === 0) continue;
      for (let j = 0, w = k * columns; j < columns; j++, w++) out[w] += value * b[r + j];
    }
  }
}

// out += b aᵀ where mask is positive, for b (rows, columns) and a (inner, columns): the gradient of inputs.
function multiplyByTransposed(b, a, out, rows, inner, columns, mask) {
  for (let i = 0; i < rows; i++) {
    const r = i * columns;
    for (let k = 0; k < inner; k++) {
      const at = i * inner + k;
      if (mask && mask[at] <= 0) continue;
      let sum = 0;
      for (let j = 0, w = k * columns; j < columns; j++, w++) sum += b[r + j] * a[w];
      out[at] += sum;
    }
  }
}

class Learner {
  constructor({ units, meanImage, seed }) {
    this.units = units;
    this.uniform = seeded(seed);
    this.steps = 0;
    const heads = { mean: [units, LATENT], logVar: [units, LATENT] };
    const shapes = { encoder: [PIXELS, units], ...heads, decoder: [LATENT, units], logits: [units, PIXELS] };
    this.layers = {};
    for (const [name, [inputs, outputs]] of Object.entries(shapes)) {
      const limit = Math.sqrt(6 / (inputs + outputs)); // Glorot
      const weights = Float32Array.from({ length: inputs * outputs }, () => limit * (2 * this.uniform() - 1));
      this.layers[name] = { inputs, outputs, weights, bias: new Float32Array(outputs) };
    }
    // As in notebook 02, the decoder begins with the mean image.
    this.layers.logits.bias = meanImage.map((p) => Math.log(Math.max(p, 0.001) / (1 - p)));
    for (const layer of Object.values(this.layers)) {
      layer.parameters = [layer.weights, layer.bias].map((values) => {
        const [gradient, first, second] = [1, 2, 3].map(() => new Float32Array(values.length));
        return { values, gradient, first, second };
      });
    }
  }

  apply(name, x, rows, relu) {
    const { inputs, outputs, weights, bias } = this.layers[name];
    const out = new Float32Array(rows * outputs);
    for (let i = 0; i < rows; i++) out.set(bias, i * outputs);
    multiply(x, weights, out, rows, inputs, outputs);
    if (relu) for (let i = 0; i < out.length; i++) if (out[i] < 0) out[i] = 0;
    return out;
  }

  encode(x, rows) {
    const h = this.apply("encoder", x, rows, true);
    return { h, mean: this.apply("mean", h, rows), logVar: this.apply("logVar", h, rows) };
  }

  decode(z, rows) {
    const h = this.apply("decoder", z, rows, true);
    return { h, logits: this.apply("logits", h, rows) };
  }

  // The gradients of weights and bias of a layer, from its input and the gradient of its output.
  collect(name, input, gradient, rows) {
    const { inputs, outputs, parameters } = this.layers[name];
    const [weights, bias] = parameters.map((parameter) => parameter.gradient.fill(0));
    multiplyTransposed(input, gradient, weights, rows, inputs, outputs);
    for (let i = 0; i < gradient.length; i++) bias[i % outputs] += gradient[i];
  }

  // The two parts of the loss, nats per image.
  cost(x, code, logits) {
    const rows = x.length / PIXELS;
    const kl = klByDimension(code).reduce((sum, nats) => sum + nats);
    return { reconstruction: reconstructionCost(x, logits) / rows, kl: kl / rows };
  }

  // One step of Adam on x (rows, 784), with noise (rows, 2); returns the two parts of the loss, nats per image.
  step(x, noise, { beta, rate, average }) {
    const rows = x.length / PIXELS;
    const share = 1 / rows;
    const scale = average ? share / PIXELS : share;
    const code = this.encode(x, rows);
    const z = sample(code, noise);
    const { h, logits } = this.decode(z, rows);
    const cost = this.cost(x, code, logits);

    const onLogits = logits.map((logit, i) => scale * (sigmoid(logit) - x[i]));
    this.collect("logits", h, onLogits, rows);
    const onH = new Float32Array(h.length);
    multiplyByTransposed(onLogits, this.layers.logits.weights, onH, rows, this.units, PIXELS, h);
    this.collect("decoder", z, onH, rows);
    const onMean = new Float32Array(z.length);
    multiplyByTransposed(onH, this.layers.decoder.weights, onMean, rows, LATENT, this.units);
    const onLogVar = onMean.map((gradient, i) => {
      const variance = Math.exp(code.logVar[i]);
      return 0.5 * (gradient * noise[i] * Math.sqrt(variance) + beta * share * (variance - 1));
    });
    for (let i = 0; i < onMean.length; i++) onMean[i] += beta * share * code.mean[i];
    this.collect("mean", code.h, onMean, rows);
    this.collect("logVar", code.h, onLogVar, rows);
    const onCode = new Float32Array(code.h.length);
    multiplyByTransposed(onMean, this.layers.mean.weights, onCode, rows, this.units, LATENT, code.h);
    multiplyByTransposed(onLogVar, this.layers.logVar.weights, onCode, rows, this.units, LATENT, code.h);
    this.collect("encoder", x, onCode, rows);
    this.adam(rate);
    return cost;
  }

  adam(rate) {
    this.steps++;
    const size = (rate * Math.sqrt(1 - 0.999 ** this.steps)) / (1 - 0.9 ** this.steps);
    for (const { parameters } of Object.values(this.layers)) {
      for (const { values, gradient, first, second } of parameters) {
        for (let i = 0; i < values.length; i++) {
          first[i] += 0.1 * (gradient[i] - first[i]);
          second[i] += 0.001 * (gradient[i] ** 2 - second[i]);
          values[i] -= (size * first[i]) / (Math.sqrt(second[i]) + 1e-7);
        }
      }
    }
  }
}

// One number, 0 or 1, for each bit.
function bits(bytes) {
  const out = new Float32Array(8 * bytes.length);
  for (let i = 0; i < out.length; i++) out[i] = (bytes[i >> 3] >> (7 - (i & 7))) & 1;
  return out;
}

// A batch of images, drawn at random.
function draw(images, size, uniform) {
  const batch = new Float32Array(size * PIXELS);
  for (let i = 0; i < size; i++) {
    const start = PIXELS * Math.floor((uniform() * images.length) / PIXELS);
    batch.set(images.subarray(start, start + PIXELS), i * PIXELS);
  }
  return batch;
}

// ---------------------------------------------------------------------------------------------------- in the worker

const STOP = 5000; // steps, so that a page left open does not drain a battery
const TILES = 10; // the decoded plane is TILES x TILES digits
const BATCH = 64;
const JUDGED = 100; // test digits

if (typeof document === "undefined") {
  let images, meanImage, test, noise, learner, running, timer;
  let levers = {};
  let sums = { reconstruction: 0, kl: 0, steps: 0 };

  const report = () => {
    const rows = test.length / PIXELS;
    const { mean: codes, logVar } = learner.encode(test, rows);
    const inside = (reach) => codes.filter((value) => Math.abs(value) > reach).length < 0.02 * codes.length;
    const reach = [4, 8, 16, 32, 64, 128].find(inside) || 256; // the plane shows nearly all codes
    const grid = new Float32Array(2 * TILES * TILES);
    for (let i = 0; i < TILES * TILES; i++) {
      grid[2 * i] = reach * ((2 * (i % TILES) + 1) / TILES - 1);
      grid[2 * i + 1] = reach * (1 - (2 * Math.floor(i / TILES) + 1) / TILES);
    }
    const z = new Float32Array([...grid, ...codes.subarray(0, 16), ...noise.subarray(0, 12)]);
    const decoded = Uint8Array.from(learner.decode(z, z.length / LATENT).logits, (logit) => 255 * sigmoid(logit));
    // What test digits cost, always with noise, in nats per image.
    const few = test.subarray(0, JUDGED * PIXELS);
    const code = { mean: codes.subarray(0, JUDGED * LATENT), logVar: logVar.subarray(0, JUDGED * LATENT) };
    const { reconstruction, kl } = learner.cost(few, code, learner.decode(sample(code, noise), JUDGED).logits);
    const loss = { reconstruction: sums.reconstruction / sums.steps, kl: sums.kl / sums.steps };
    sums = { reconstruction: 0, kl: 0, steps: 0 };
    postMessage({ steps: learner.steps, codes, reach, decoded, loss, tested: reconstruction + kl, running });
  };

  const step = () => {
    const e = Float32Array.from({ length: LATENT * BATCH }, () => (levers.noise ? normal(learner.uniform) : 0));
    const { reconstruction, kl } = learner.step(draw(images, BATCH, learner.uniform), e, levers);
    sums.reconstruction += reconstruction;
    sums.kl += kl;
    sums.steps++;
    if (!Number.isFinite(reconstruction + kl) || learner.steps === STOP) running = false;
  };

  const work = () => {
    const until = performance.now() + 100;
    while (running && performance.now() < until) step();
    report();
    if (running) timer = setTimeout(work);
  };

  const commands = {
    data({ bytes, ...given }) {
      ({ test, noise } = given);
      images = bits(bytes);
      meanImage = new Float32Array(PIXELS);
      images.forEach((bit, i) => (meanImage[i % PIXELS] += (bit * PIXELS) / images.length));
    },
    levers: (given) => (levers = given),
    anew(seed) {
      learner = new Learner({ units: levers.units, meanImage, seed });
      report();
    },
    run(on) {
      clearTimeout(timer);
      running = on && learner.steps < STOP;
      if (running) work();
    },
    step: () => learner.steps < STOP && (step(), report()),
  };
  onmessage = ({ data }) => {
    for (const [name, value] of Object.entries(data)) commands[name](value);
  };
}
