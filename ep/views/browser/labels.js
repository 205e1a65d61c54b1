// Placement of names on the map without overlaps: greedily on the screen, in the order of the
// ranking computed in Python, among the highest-ranked visible cells.

const FACING = 0.68; // least cosine between a cell's normal and the viewer's direction, on a sphere
const LETTER = 3.5; // half the width of a character, in pixels
const STEM = 60; // largest distance of the selected name above its cell's centre, in pixels
const MOST_LABELS = 90;
const HALO = { dark: "#fff", light: "#0f172a" };

// The labels as [{k, x, y, halfWidth, halfHeight, text, on}], in pixels of a width x height stage.
// `on` marks the selected region. taken: boxes that other names must not overlap.
function placeLabels({ mesh, nameOf, selected, camera, width, height, taken = [] }) {
  const aspect = width / height;
  const [view, { toward }] = [camera.matrix(aspect), camera.axes()];
  const round = mesh instanceof SphereMesh;
  const disc = round ? (camera.disc(aspect) * height) / 2 : Infinity;
  const facing = Math.max(FACING, 1 / camera.distance || 0);
  const wanted = Math.round(Math.min(MOST_LABELS, (round ? 14 : 18) * camera.nearness ** 1.2)); // more in a close view
  const [placed, texts] = [[], new Set()];
  const consider = (k) => {
    const on = k === selected;
    const text = nameOf(k);
    if (!text || texts.has(text)) return;
    const center = mesh.center(k);
    if (round && dot(center, toward) < facing) return;
    const [x, middle] = onScreen(view, on ? mesh.lifted(center, true) : center, width, height);
    const reach = on ? mesh.radius(k) * camera.density(aspect, height) : 0;
    const y = on ? middle - Math.min(reach, STEM) - 17 : middle; // above the cell, but close to its centre
    const [halfWidth, halfHeight] = [text.length * LETTER + 9, on ? 15 : 11];
    const outside = Math.hypot(x - width / 2, y - height / 2) + halfWidth * 0.7 > disc;
    const clipped = x < halfWidth || x > width - halfWidth || y < 10 || y > height - 10;
    const overlaps = (p) => Math.abs(p.x - x) < p.halfWidth + halfWidth + 14 && Math.abs(p.y - y) < p.halfHeight + halfHeight + 7;
    if ((outside && !on) || clipped || placed.some(overlaps) || (!on && taken.some(overlaps))) return;
    texts.add(text);
    placed.push({ k, x, y, halfWidth, halfHeight, text, on });
  };
  if (selected !== null) consider(selected);
  for (const k of mesh.candidates(camera, aspect, 480)) {
    if (placed.length >= wanted) break;
    if (k !== selected) consider(k);
  }
  return placed;
}

const needsLightText = (colors, k) => 0.3 * colors[3 * k] + 0.59 * colors[3 * k + 1] + 0.11 * colors[3 * k + 2] < 118;

// Draws the labels on a 2-D canvas, for the saved picture.
function paintLabels(context, placed, colors, { font, ink, page }) {
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.lineJoin = "round";
  for (const { k, x, y, text, on, halfWidth } of placed) {
    const light = needsLightText(colors, k);
    context.font = `600 ${on ? 12 : 11}px ${font}`;
    if (on) {
      context.fillStyle = ink;
      context.beginPath();
      context.roundRect(x - halfWidth, y - 10, 2 * halfWidth, 20, 10);
      context.fill();
      context.fillRect(x - 0.75, y + 10, 1.5, 9);
    } else {
      context.strokeStyle = light ? HALO.light : HALO.dark;
      context.lineWidth = 3;
      context.strokeText(text, x, y);
    }
    context.fillStyle = on ? page : light ? "#fff" : "#1d2433";
    context.fillText(text, x, y);
  }
}
