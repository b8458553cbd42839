"use strict";

// The page.

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
    document.querySelector(".draw").hidden = !(shown in panels);
    watchOrRest();
    if (shown in panels && panels[shown].image !== image) encode(true);
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
  listenToLearning();
  $("help").addEventListener("toggle", () => $("help").scrollIntoView({ block: "nearest" }));
  testDigit(2);
  past = [];
  enable($("undo"), false);
  document.body.classList.add("ready");
  $(`tab-${location.hash.slice(1)}`)?.click(); // explorer.html#learn begins there
}

start().catch((error) => {
  $("status").textContent = `This page needs a browser from 2023 on: ${error.message}`;
  $("status").classList.add("trouble");
});
