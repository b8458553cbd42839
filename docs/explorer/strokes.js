"use strict";

// From strokes, lists of points on the pad, to an image as MNIST's are: the digit fits into a box of 20 x 20 pixels, its
// lines are as thick as those of a pen there, and its centre of mass is in the middle of 28 x 28.

const BOX = 20;
const SIDE = 28;
const RADIUS = 1.2; // half the thickness of a line, with which the centre lines of MNIST's digits get their ink back
const GAP = 6; // between two points of a stroke, on a pad of 280

// Points at equal distances along a stroke, however fast the pen was, and its first and last point.
function evenly(points) {
  const even = [points[0]];
  let left = GAP;
  for (let k = 1; k < points.length; k++) {
    const [[ax, ay], [bx, by]] = [points[k - 1], points[k]];
    const length = Math.hypot(bx - ax, by - ay);
    for (; left <= length; left += GAP) even.push([ax + ((bx - ax) * left) / length, ay + ((by - ay) * left) / length]);
    left -= length;
  }
  return [...even, points.at(-1)];
}

// A hand trembles: each point becomes the mean of itself and its neighbours.
function smooth(points) {
  return points.map(([x, y], i) => {
    const [a, b] = points[Math.max(i - 1, 0)];
    const [c, d] = points[Math.min(i + 1, points.length - 1)];
    return [(a + 2 * x + c) / 4, (b + 2 * y + d) / 4];
  });
}

function distanceToSegment(x, y, [ax, ay], [bx, by]) {
  const [dx, dy] = [bx - ax, by - ay];
  const length = dx * dx + dy * dy;
  const t = length ? Math.max(0, Math.min(1, ((x - ax) * dx + (y - ay) * dy) / length)) : 0;
  return Math.hypot(x - ax - t * dx, y - ay - t * dy);
}

function rasterise(strokes) {
  const image = new Float32Array(SIDE * SIDE);
  for (const stroke of strokes) {
    for (let k = 0; k < Math.max(stroke.length - 1, 1); k++) {
      const [a, b] = [stroke[k], stroke[Math.min(k + 1, stroke.length - 1)]];
      const reach = RADIUS + 1;
      const [left, right] = [Math.min(a[0], b[0]) - reach, Math.max(a[0], b[0]) + reach];
      const [top, bottom] = [Math.min(a[1], b[1]) - reach, Math.max(a[1], b[1]) + reach];
      for (let y = Math.max(0, Math.floor(top)); y <= Math.min(SIDE - 1, bottom); y++) {
        for (let x = Math.max(0, Math.floor(left)); x <= Math.min(SIDE - 1, right); x++) {
          const ink = RADIUS + 0.5 - distanceToSegment(x + 0.5, y + 0.5, a, b);
          const i = y * SIDE + x;
          image[i] = Math.max(image[i], Math.min(1, ink));
        }
      }
    }
  }
  return image;
}

function move(strokes, scale, dx, dy) {
  return strokes.map((stroke) => stroke.map(([x, y]) => [scale * x + dx, scale * y + dy]));
}

function asMnist(strokes) {
  const drawn = strokes.map((points) => smooth(smooth(evenly(points))));
  const points = drawn.flat();
  if (!points.length) return new Float32Array(SIDE * SIDE);
  const [xs, ys] = [points.map(([x]) => x), points.map(([, y]) => y)];
  const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  // What is shorter than a tenth of the pad is a dot.
  const longest = Math.max(right - left, bottom - top, 28);
  const scale = (BOX - 2 * RADIUS) / longest;
  const middle = SIDE / 2;
  let placed = move(drawn, scale, middle - (scale * (left + right)) / 2, middle - (scale * (top + bottom)) / 2);
  // Twice, as what is moved may have been cut off at the edge.
  for (let round = 0; round < 2; round++) {
    const image = rasterise(placed);
    let [mass, x, y] = [0, 0, 0];
    image.forEach((ink, i) => {
      mass += ink;
      x += ink * ((i % SIDE) + 0.5);
      y += ink * (Math.floor(i / SIDE) + 0.5);
    });
    placed = move(placed, 1, middle - x / mass, middle - y / mass);
  }
  return rasterise(placed);
}
