// A second canvas over the cells: the outline of the hovered cell, the path of a prompt from cell
// to cell, and the loop of a brush. The cells are not drawn again for it, so hovering costs the
// same for any number of cells.

const ABOVE = 1.006; // radius of a path on the sphere, just above the cells
const DOT = 8; // radius of a numbered dot, in pixels
const MOST_DOTS = 200;

class Overlay {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
  }

  // Sets the canvas to the screen's resolution and its coordinates to pixels of the stage.
  size(width, height) {
    const scale = clamp(devicePixelRatio, 1, 2);
    const [w, h] = [Math.round(width * scale), Math.round(height * scale)];
    if (this.canvas.width !== w || this.canvas.height !== h) [this.canvas.width, this.canvas.height] = [w, h];
    this.context.setTransform(scale, 0, 0, scale, 0, 0);
    this.context.clearRect(0, 0, width, height);
  }

  draw(scene) {
    const empty = scene.hovered === null && !scene.path.length && !scene.loop;
    if (empty && this.empty) return; // a canvas that is not touched costs a moving frame nothing
    this.empty = empty;
    this.size(scene.width, scene.height);
    if (scene.hovered !== null) this.outline(scene);
    this.dots = paintPath(this.context, scene);
    if (scene.loop) this.loop(scene);
  }

  outline(scene) {
    const context = this.context;
    const on = scene.hovered === scene.selected;
    const points = borderOnScreen(scene, scene.hovered, on);
    if (points.length < 3) return;
    trace(context, points);
    context.fillStyle = "rgba(255,255,255,.22)";
    if (!on) context.fill();
    context.strokeStyle = scene.theme.ink;
    context.lineWidth = 1.4;
    context.lineJoin = "round";
    context.stroke();
  }

  loop({ loop, theme }) {
    if (loop.length < 2) return;
    const context = this.context;
    trace(context, loop);
    context.fillStyle = `color-mix(in srgb, ${theme.primary} 12%, transparent)`;
    context.fill();
    context.setLineDash([5, 4]);
    context.strokeStyle = theme.primary;
    context.lineWidth = 1.5;
    context.stroke();
    context.setLineDash([]);
  }
}

function trace(context, points, closed = true) {
  context.beginPath();
  points.forEach(([x, y], i) => (i ? context.lineTo(x, y) : context.moveTo(x, y)));
  if (closed) context.closePath();
}

// A cell's border in pixels, or nothing if the cell is out of sight. Points behind the limb are
// moved onto it.
function borderOnScreen({ mesh, camera, view, width, height }, k, lifted = false) {
  const flat = mesh instanceof FlatMesh;
  const [least, { toward }] = [1 / camera.distance, camera.axes()];
  const border = mesh.border(k);
  if (!flat && !border.some((p) => dot(p, toward) > least)) return [];
  return border.map((p) => {
    const along = flat ? 1 : dot(p, toward);
    if (flat || along >= least) return onScreen(view, mesh.lifted(p, lifted), width, height);
    const aside = unit([0, 1, 2].map((i) => p[i] - along * toward[i]));
    const q = [0, 1, 2].map((i) => aside[i] * Math.sqrt(1 - least * least) + toward[i] * least);
    return onScreen(view, q, width, height);
  });
}

// The stops of a path: the cells in the order visited, each with the indices of consecutive tokens
// in it. k is null for a token without a region.
function stops(path, size) {
  const visits = [];
  path.forEach((k, i) => {
    const last = visits[visits.length - 1];
    if (k < 0 || k >= size) visits.push({ k: null, tokens: [] });
    else if (last && last.k === k) last.tokens.push(i);
    else visits.push({ k, tokens: [i] });
  });
  return visits;
}

// Points from one cell to another, along a great circle on the sphere and straight in the plane.
function between(mesh, a, b) {
  const [p, q] = [mesh.center(a), mesh.center(b)];
  if (mesh instanceof FlatMesh) return [p, q];
  const angle = Math.acos(clamp(dot(p, q), -1, 1));
  const n = Math.max(2, Math.ceil(angle / 0.06));
  const points = [];
  for (let i = 0; i <= n; i++) points.push(scaled(unit([0, 1, 2].map((j) => mixed(p[j], q[j], i / n))), ABOVE));
  return points;
}

// Draws a prompt's tokens as a line over the cells with numbered dots. Returns the visible dots as
// {x, y, k, tokens}.
function paintPath(context, { path, mesh, camera, view, width, height, theme }) {
  if (!path.length) return [];
  const [visits, tokensOf] = [stops(path, mesh.size), new Map()];
  const lines = [];
  for (let i = 1; i < visits.length; i++) {
    if (visits[i - 1].k === null || visits[i].k === null) continue;
    lines.push(...inSight(between(mesh, visits[i - 1].k, visits[i].k), { camera, view, width, height }));
  }
  context.lineJoin = context.lineCap = "round";
  for (const [style, thick] of [[theme.page, 5], [theme.ink, 2]]) {
    [context.strokeStyle, context.lineWidth] = [style, thick];
    for (const line of lines) {
      trace(context, line, false);
      context.stroke();
    }
  }
  for (const line of lines) paintArrow(context, line, theme);
  for (const { k, tokens } of visits) {
    if (k !== null) tokensOf.set(k, [...(tokensOf.get(k) ?? []), ...tokens]);
  }
  const dots = [];
  for (const [k, tokens] of [...tokensOf].slice(0, MOST_DOTS)) {
    if (!camera.isVisible(mesh.center(k))) continue;
    const [x, y] = onScreen(view, mesh.center(k), width, height);
    dots.push({ x, y, k, tokens });
  }
  for (const spot of [...dots].reverse()) paintDot(context, spot, dots, path.length, theme);
  return dots;
}

// The parts of a line that are not behind the sphere, in pixels.
function inSight(points, { camera, view, width, height }) {
  const parts = [[]];
  for (const p of points) {
    if (camera.isVisible(p)) parts[parts.length - 1].push(onScreen(view, p, width, height));
    else if (parts[parts.length - 1].length) parts.push([]);
  }
  return parts.filter((part) => part.length > 1);
}

function paintArrow(context, line, { ink, page }) {
  const i = Math.floor((line.length - 1) / 2);
  const [[x0, y0], [x1, y1]] = [line[i], line[i + 1]];
  const [x, y, turn] = [(x0 + x1) / 2, (y0 + y1) / 2, Math.atan2(y1 - y0, x1 - x0)];
  const whole = Math.hypot(line[line.length - 1][0] - line[0][0], line[line.length - 1][1] - line[0][1]);
  if (whole < 3.2 * DOT) return;
  context.save();
  context.translate(x, y);
  context.rotate(turn);
  trace(context, [[6, 0], [-4.5, -5], [-2, 0], [-4.5, 5]]);
  context.fillStyle = ink;
  [context.strokeStyle, context.lineWidth] = [page, 2.5];
  context.stroke();
  context.fill();
  context.restore();
}

// Draws one dot. Those of the first and the last token are filled with the accent colour. A dot
// that would overlap one of an earlier token is only a small point, without a number.
function paintDot(context, spot, dots, count, { ink, page, primary }) {
  const { x, y, tokens } = spot;
  const crowded = dots.some((other) => other !== spot && other.tokens[0] < tokens[0] && Math.hypot(other.x - x, other.y - y) < 1.6 * DOT);
  const [first, last] = [tokens[0] === 0, tokens[tokens.length - 1] === count - 1];
  context.beginPath();
  context.arc(x, y, crowded ? 3 : DOT, 0, 7);
  context.fillStyle = first || last ? primary : page;
  context.fill();
  [context.strokeStyle, context.lineWidth] = [ink, 1.5];
  context.stroke();
  if (crowded) return;
  context.font = "600 9px sans-serif";
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillStyle = first || last ? "#fff" : ink;
  context.fillText(String(tokens[0] + 1), x, y + 0.5);
}
