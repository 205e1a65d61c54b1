// A few names on the map that never overlap: greedy in screen space, in the order of weight that Python gives.

const FACING = 0.68; // only cells whose normal is at most this far from the viewer
const LETTER = 3.5; // half the width of a character, in pixels
const STEM = 60; // how far above its cell's centre the selected name may stand, in pixels
const HALO = { dark: "#fff", light: "#0f172a" };

// Places for labels: [{k, x, y, text, on}] in pixels of a width x height stage.
function placeLabels({ mesh, names, ranking, selected, lift, selectedRadius, camera, width, height }) {
  const [view, toward] = [camera.matrix(width / height), camera.axes().toward];
  const disc = (camera.disc(width / height) * height) / 2;
  const wanted = Math.round(Math.min(40, 12 * (HOME / camera.distance) ** 1.6)); // more when nearer
  const [placed, said] = [[], new Set()];
  const consider = (k) => {
    const on = k === selected;
    const text = names[k];
    if (!text || said.has(text) || placed.some((p) => p.k === k)) return;
    const center = mesh.center(k);
    if (dot(center, toward) < FACING) return;
    const [x, middle] = onScreen(view, scaled(center, on ? lift : 1), width, height);
    const y = on ? middle - Math.min(disc * selectedRadius, STEM) - 17 : middle; // above the cell, never far from its centre
    const [halfWidth, halfHeight] = [text.length * LETTER + 9, on ? 15 : 11];
    const outside = Math.hypot(x - width / 2, y - height / 2) + halfWidth * 0.7 > disc;
    const clipped = x < halfWidth || x > width - halfWidth || y < 10 || y > height - 10;
    const overlaps = (p) => Math.abs(p.x - x) < p.halfWidth + halfWidth + 14 && Math.abs(p.y - y) < p.halfHeight + halfHeight + 7;
    if ((outside && !on) || clipped || placed.some(overlaps)) return;
    said.add(text);
    placed.push({ k, x, y, halfWidth, halfHeight, text, on });
  };
  if (selected !== null) consider(selected);
  for (const k of ranking) {
    if (placed.length >= wanted) break;
    consider(k);
  }
  return placed;
}

function onScreen(view, p, width, height) {
  const row = (i) => view[i] * p[0] + view[4 + i] * p[1] + view[8 + i] * p[2] + view[12 + i];
  return [(row(0) / row(3) * 0.5 + 0.5) * width, (0.5 - (row(1) / row(3)) * 0.5) * height];
}

const needsLightText = (rgba, k) => 0.3 * rgba[4 * k] + 0.59 * rgba[4 * k + 1] + 0.11 * rgba[4 * k + 2] < 118;

// The labels once more on a 2-D canvas, for the saved picture.
function paintLabels(context, placed, rgba, scale, { font, ink, page }) {
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.lineJoin = "round";
  for (const { k, x, y, text, on, halfWidth } of placed) {
    const [X, Y, light] = [x * scale, y * scale, needsLightText(rgba, k)];
    context.font = `600 ${(on ? 12 : 11) * scale}px ${font}`;
    if (on) {
      context.fillStyle = ink;
      context.beginPath();
      context.roundRect(X - halfWidth * scale, Y - 10 * scale, 2 * halfWidth * scale, 20 * scale, 10 * scale);
      context.fill();
      context.fillRect(X - 0.75 * scale, Y + 10 * scale, 1.5 * scale, 9 * scale);
    } else {
      context.strokeStyle = light ? HALO.light : HALO.dark;
      context.lineWidth = 3 * scale;
      context.strokeText(text, X, Y);
    }
    context.fillStyle = on ? page : light ? "#fff" : "#1d2433";
    context.fillText(text, X, Y);
  }
}
