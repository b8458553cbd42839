"use strict";

// What the model says.

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
  if (!panel) return; // without a drawing nothing comes back
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
