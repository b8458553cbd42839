"use strict";

// The pad.

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
