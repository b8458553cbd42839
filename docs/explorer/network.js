"use strict";

// The VAEs' forward passes, and the flow's way back. A layer is {inputs, outputs, weights, bias}, weights as in Keras: inputs x outputs.

function decodeBase64(text) {
  const binary = atob(text);
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}

// Weights come as whole numbers of steps, a step for each column: first all low bytes, then all high bytes, which differ
// little and so take little room when deflated.
const OFFSET = 32768;

function unpack({ inputs, outputs, low, high, steps, bias }, bytes) {
  const count = inputs * outputs;
  const weights = new Float32Array(count);
  for (let i = 0; i < count; i++) {
    weights[i] = steps[i % outputs] * ((bytes[low + i] | (bytes[high + i] << 8)) - OFFSET);
  }
  return { inputs, outputs, weights, bias: Float32Array.from(bias) };
}

// Abramowitz and Stegun, 7.1.26: at most 1.5e-7 off.
function erf(x) {
  const t = 1 / (1 + 0.3275911 * Math.abs(x));
  const series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  return Math.sign(x) * (1 - series * Math.exp(-x * x));
}

function gelu(x) {
  return 0.5 * x * (1 + erf(x / Math.SQRT2));
}

function sigmoid(x) {
  return 1 / (1 + Math.exp(-x));
}

function softplus(x) {
  return Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
}

function dense(x, { inputs, outputs, weights, bias }, activation) {
  const out = Float32Array.from(bias);
  for (let i = 0; i < inputs; i++) {
    const value = x[i];
    if (value === 0) continue;
    const start = i * outputs;
    for (let j = 0; j < outputs; j++) out[j] += value * weights[start + j];
  }
  if (activation) for (let j = 0; j < outputs; j++) out[j] = activation(out[j]);
  return out;
}

const unpackAll = (layers, bytes) =>
  Object.fromEntries(Object.entries(layers).map(([name, layer]) => [name, unpack(layer, bytes)]));

class VAE {
  constructor({ center, layers, flow }, bytes) {
    this.center = center && Float32Array.from(center);
    this.layers = unpackAll(layers, bytes);
    this.dimensions = this.layers.decoder1.inputs;
    this.flow = flow && flow.nets.map((net, i) => ({ order: flow.orders[i], net: unpackAll(net, bytes) }));
  }

  // An image, 784 values from 0 to 1, becomes a distribution.
  encode(x) {
    let h = x.map((value, i) => value - this.center[i]);
    h = dense(h, this.layers.encoder1, gelu);
    h = dense(h, this.layers.encoder2, gelu);
    return { mean: dense(h, this.layers.mean), logVar: dense(h, this.layers.logVar) };
  }

  // A code becomes 784 logits.
  decode(z) {
    let h = dense(z, this.layers.decoder1, gelu);
    h = dense(h, this.layers.decoder2, gelu);
    return dense(h, this.layers.logits);
  }

  // Noise becomes a code: the noise itself, or what it is on its way back through the flow's couplings.
  fromNoise(noise) {
    return (this.flow || []).reduceRight((y, { order, net }) => {
      const half = y.length / 2;
      let h = dense(y.subarray(0, half), net.hidden1, gelu);
      h = dense(h, net.hidden2, gelu);
      const out = dense(h, net.out); // the logarithms of the scales, before they are bounded, then the shifts
      const z = new Float32Array(y.length);
      order.forEach((to, i) => {
        const j = i - half;
        z[to] = j < 0 ? y[i] : (y[i] - out[half + j]) * Math.exp(-2 * Math.tanh(out[j] / 2));
      });
      return z;
    }, noise);
  }
}

function sample({ mean, logVar }, noise = mean.map(() => normal())) {
  return mean.map((value, i) => value + Math.exp(0.5 * logVar[i]) * noise[i]);
}

// One draw from the standard normal distribution (Box and Muller).
function normal(uniform = Math.random) {
  return Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
}

// Uniform draws from 0 to 1 that a seed repeats (mulberry32).
function seeded(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

function klByDimension({ mean, logVar }) {
  return mean.map((value, i) => 0.5 * (value * value + Math.exp(logVar[i]) - 1 - logVar[i]));
}

// -log p(x|z) in nats; as the model counts black and white, what is at least half grey is ink.
function reconstructionCost(x, logits) {
  return logits.reduce((sum, logit, i) => sum + softplus(logit) - (x[i] >= 0.5 ? logit : 0), 0);
}
