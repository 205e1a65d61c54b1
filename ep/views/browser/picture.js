// Saving the map: as a PNG at twice the size on screen, or as an SVG with cells as shapes and names
// as text.

const MOST_SHAPES = 8000; // cells beyond which an SVG contains them as one image
const LIGHT = unit([-0.45, 0.62, 0.64]); // in the viewer's axes: right, up, toward

// A new canvas with the cells, the path and the labels, at `scale` pixels per pixel of the stage.
function painted(scene, drawCells, placed, scale) {
  const picture = document.createElement("canvas");
  drawCells(scale); // the drawing buffer can be read only before control returns to the browser
  [picture.width, picture.height] = [scene.canvas.width, scene.canvas.height];
  const context = picture.getContext("2d");
  context.fillStyle = scene.theme.page;
  context.fillRect(0, 0, picture.width, picture.height);
  context.drawImage(scene.canvas, 0, 0);
  context.scale(picture.width / scene.width, picture.height / scene.height);
  paintPath(context, scene);
  paintLabels(context, placed, scene.colors, scene.theme);
  return picture;
}

const escaped = (text) => String(text).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`).replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f]/g, "\ufffd");
const hex = (rgb) => `#${rgb.map((c) => Math.round(clamp(c, 0, 255)).toString(16).padStart(2, "0")).join("")}`;
const list = (points) => points.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" ");

// A cell's colour with the light and the pale limb that the shader gives it on screen.
function litColor({ colors, bright, mesh, camera, theme, ramp }, k) {
  const own = [0, 1, 2].map((i) => colors[3 * k + i]);
  const page = rgb(theme.page).map((c) => 255 * c);
  let shown = own;
  if (mesh instanceof SphereMesh) {
    const [p, { right, up, toward }] = [mesh.center(k), camera.axes()];
    const d = 0.5 + 0.5 * dot([dot(p, right), dot(p, up), dot(p, toward)], LIGHT);
    const lit = mixed(1, mixed(theme.dark ? 0.62 : 0.8, 1.05, d * d * (3 - 2 * d)), ramp ? 0.45 : 1);
    const limb = clamp((1 - dot(p, toward) - 0.5) / 0.5, 0, 1);
    shown = own.map((c, i) => mixed(c * lit, page[i], 0.55 * limb * limb * (3 - 2 * limb) * (ramp ? 0.6 : 1)));
  }
  return hex(bright && !bright.has(k) ? shown.map((c, i) => mixed(page[i], c, 0.18)) : shown);
}

// The visible cells as polygons, or null if there are more than MOST_SHAPES.
function cellShapes(scene) {
  const { mesh, camera, selected, theme, width, height } = scene;
  const shapes = [];
  for (const chunk of mesh.visible(camera, width / height)) {
    for (const k of chunk.cells) {
      const points = k === selected ? [] : borderOnScreen(scene, k);
      if (!points.some(([x, y]) => x > 0 && x < width && y > 0 && y < height)) continue;
      shapes.push(`<polygon points="${list(points)}" fill="${litColor(scene, k)}"/>`);
      if (shapes.length > MOST_SHAPES) return null;
    }
  }
  const all = `<g stroke="${theme.page}" stroke-width="0.9" stroke-opacity="0.8" stroke-linejoin="round">${shapes.join("")}</g>`;
  return all + (selected !== null && camera.isVisible(mesh.center(selected)) ? raisedShape(scene) : "");
}

function raisedShape(scene) {
  const { selected, colors, theme } = scene;
  const [top, base] = [borderOnScreen(scene, selected, true), borderOnScreen(scene, selected)];
  const own = [0, 1, 2].map((i) => colors[3 * selected + i]);
  const [wall, bright] = [hex(own.map((c) => 0.58 * c)), hex(own.map((c) => mixed(c, 255, 0.14)))];
  const sides = base.map((p, i) => `<polygon points="${list([p, base[(i + 1) % base.length], top[(i + 1) % top.length], top[i % top.length]])}"/>`);
  const line = `stroke-linejoin="round" fill="none" points="${list(top)}"`;
  return `<g fill="${wall}">${sides.join("")}</g><polygon points="${list(top)}" fill="${bright}"/>` +
    `<polygon ${line} stroke="#fff" stroke-width="5"/><polygon ${line} stroke="${theme.ink}" stroke-width="1.9"/>`;
}

function labelShapes(placed, colors, { ink, page }) {
  return placed.map(({ k, x, y, text, on, halfWidth }) => {
    const light = needsLightText(colors, k);
    const at = `x="${x.toFixed(1)}" y="${(y + 4).toFixed(1)}"`;
    if (!on) return `<text ${at} font-size="11" fill="${light ? "#fff" : "#1d2433"}" stroke="${light ? HALO.light : HALO.dark}" stroke-width="3" paint-order="stroke" stroke-linejoin="round">${escaped(text)}</text>`;
    return `<rect x="${x - halfWidth}" y="${y - 10}" width="${2 * halfWidth}" height="20" rx="10" fill="${ink}"/>` +
      `<rect x="${x - 0.75}" y="${y + 10}" width="1.5" height="9" fill="${ink}"/><text ${at} font-size="12" fill="${page}">${escaped(text)}</text>`;
  }).join("");
}

function pathShapes(scene) {
  const { path, mesh, camera, theme } = scene;
  const [visits, parts] = [stops(path, mesh.size), []];
  for (let i = 1; i < visits.length; i++) {
    if (visits[i - 1].k === null || visits[i].k === null) continue;
    for (const line of inSight(between(mesh, visits[i - 1].k, visits[i].k), scene)) parts.push(`<polyline points="${list(line)}"/>`);
  }
  const dots = visits.filter(({ k }) => k !== null && camera.isVisible(mesh.center(k))).map(({ k, tokens }) => {
    const [x, y] = onScreen(scene.view, mesh.center(k), scene.width, scene.height);
    return `<circle cx="${x.toFixed(1)}" cy="${y.toFixed(1)}" r="${DOT}" fill="${theme.page}" stroke="${theme.ink}" stroke-width="1.5"/>` +
      `<text x="${x.toFixed(1)}" y="${(y + 3.2).toFixed(1)}" font-size="9" fill="${theme.ink}">${tokens[0] + 1}</text>`;
  });
  const lines = (color, thick) => `<g fill="none" stroke="${color}" stroke-width="${thick}" stroke-linejoin="round">${parts.join("")}</g>`;
  return path.length ? lines(theme.page, 5) + lines(theme.ink, 2) + dots.join("") : "";
}

// The legend's rows, wrapped to the width, or its ramp: the shapes and their height.
function legendShapes({ legend, ramp, width, theme }) {
  const text = (x, y, content, more = "") => `<text x="${x}" y="${y}" text-anchor="start" font-weight="400" font-size="12" fill="${theme.ink}" ${more}>${escaped(content)}</text>`;
  if (ramp) {
    const steps = theme.dark ? ramp.dark : ramp.light;
    const stops = steps.map((color, i) => `<stop offset="${i / (steps.length - 1)}" stop-color="${color}"/>`).join("");
    const from = 14 + 6.2 * ramp.name.length + 7 * ramp.low.length;
    return { height: 30, shapes: `<defs><linearGradient id="ramp">${stops}</linearGradient></defs>${text(8, 20, ramp.name)}` +
      `${text(from - 7 * ramp.low.length, 20, ramp.low)}<rect x="${from + 8}" y="11" width="150" height="9" rx="4" fill="url(#ramp)"/>${text(from + 166, 20, ramp.high)}` };
  }
  let [x, y, shapes] = [8, 20, ""];
  for (const [color, name, count] of legend) {
    const wide = 16 + 6.6 * (name.length + count.length + 1) + 14;
    if (x > 8 && x + wide > width) [x, y] = [8, y + 19];
    shapes += `<rect x="${x}" y="${y - 9}" width="10" height="10" rx="3" fill="${color}"/>${text(x + 16, y, `${name} ${count}`)}`;
    x += wide;
  }
  return { height: y + 12, shapes };
}

function svg(scene, placed, pictureOfCells) {
  const { width, height, theme, note, title } = scene;
  const top = legendShapes(scene);
  const shapes = cellShapes(scene);
  const cells = shapes ?? `<image width="${width}" height="${height}" href="${pictureOfCells()}"/>`;
  const description = shapes === null ? `${note} More than ${MOST_SHAPES.toLocaleString("en")} cells in sight: they are a picture here.` : note;
  const disc = scene.mesh instanceof SphereMesh && shapes !== null ? (scene.camera.disc(width / height) * height) / 2 : 0;
  const halo = disc ? `<circle cx="${width / 2}" cy="${height / 2}" r="${disc.toFixed(1)}" fill="${theme.page}" stroke="${theme.dark ? "#4d61b8" : "#5c6b8f"}" stroke-opacity="0.25" stroke-width="3"/>` : "";
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${top.height + height + 26}" viewBox="0 0 ${width} ${top.height + height + 26}" font-family="Source Sans, sans-serif">` +
    `<title>${escaped(title)}</title><desc>${escaped(description)}</desc><rect width="100%" height="100%" fill="${theme.page}"/>${top.shapes}` +
    `<svg y="${top.height}" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="Source Code Pro, monospace" font-weight="600" text-anchor="middle">` +
    `${halo}${cells}${pathShapes(scene)}${labelShapes(placed, scene.colors, theme)}</svg>` +
    `<text x="8" y="${top.height + height + 17}" font-size="11" fill="${theme.ink}" fill-opacity=".7">${escaped(description)}</text></svg>`;
}

function download(href, name) {
  const link = document.createElement("a");
  [link.href, link.download] = [href, name];
  link.click();
}
