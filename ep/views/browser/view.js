// The map: cells on a sphere that can be turned, zoomed, hovered and clicked. Geometry, names and all colourings arrive
// once as a blob (carrier.js); what changes with a click is a small object. Follows camera, mesh, shaders and labels.js.

const LIFT = 1.028; // radius of the selected cell
const SHADOW = 0.05; // radians the raised cell's shadow reaches at most
const NONE = 0xffffffff;
const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
const VIEWS = new WeakMap(); // by mount point: a rerun finds its view, and so its camera, again
const CAMERAS = (window.epCameras ??= {}); // by view: coming back to a page finds the camera too

class View {
  selected = null;
  hovered = null;
  pick = () => {};

  constructor(root, name) {
    const find = (selector) => root.querySelector(selector);
    this.root = root;
    [this.canvas, this.tip, this.labels, this.stage] = [".stage canvas", ".tip", ".labels", ".wrap"].map(find);
    this.returning = name in CAMERAS;
    this.camera = CAMERAS[name] ??= new Camera();
    this.start();
    this.listen();
    this.resized = new ResizeObserver(() => this.request());
    this.resized.observe(this.canvas);
    this.stage.addEventListener("transitionend", () => this.request()); // the ink changed: another theme
  }

  start() {
    const gl = (this.gl = this.canvas.getContext("webgl2", { antialias: true, premultipliedAlpha: true }));
    try {
      if (!gl) throw new Error("no WebGL 2");
      this.cells = program(gl, CELL_VERTEX, CELL_FRAGMENT);
      this.halo = program(gl, HALO_VERTEX, HALO_FRAGMENT);
    } catch (error) {
      console.warn("The map cannot be drawn:", error.message);
      this.gl = null;
      const failed = this.root.querySelector(".failed");
      failed.hidden = false;
      failed.textContent = "This browser cannot draw the map: WebGL 2 is missing or switched off. The table holds every region and works without it.";
      this.root.querySelector(".tools").hidden = true;
    }
  }

  // --- what Python says ---

  setBlob(blob) {
    if (this.blob === blob) return false;
    this.blob = blob;
    this.mesh = new Mesh(blob);
    this.rgba = undefined;
    this.hover(null);
    if (this.gl) this.all = this.upload(this.mesh.triangles(), this.all);
    return true;
  }

  // Colours live in a texture of one texel per region: a change of colouring or theme touches no geometry.
  setColors(dark) {
    const rgba = this.blob[`colors_${this.coloring}${this.ramp && dark ? "_dark" : ""}`];
    if (this.rgba === rgba) return;
    this.rgba = rgba;
    const gl = this.gl;
    const rows = Math.ceil(rgba.length / 1024);
    const texels = new Uint8Array(1024 * rows);
    texels.set(rgba);
    this.texture ??= gl.createTexture();
    gl.bindTexture(gl.TEXTURE_2D, this.texture);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, 256, rows, 0, gl.RGBA, gl.UNSIGNED_BYTE, texels);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
  }

  select(k) {
    this.selected = this.mesh && k !== null && k < this.mesh.size ? k : null;
    if (this.selected !== null && this.gl) {
      const raised = this.mesh.raised(k, LIFT);
      this.top = this.upload(raised, this.top);
      this.selectedRadius = raised.radius;
      this.shadow = [...this.mesh.center(k), Math.cos(raised.radius + Math.min(0.28 * raised.radius, SHADOW))];
    }
    this.request();
  }

  upload({ positions, regions, indices }, old) {
    const gl = this.gl;
    if (old) {
      gl.deleteVertexArray(old.array);
      old.buffers.forEach((buffer) => gl.deleteBuffer(buffer));
    }
    const array = gl.createVertexArray();
    gl.bindVertexArray(array);
    const buffers = [[gl.ARRAY_BUFFER, positions], [gl.ARRAY_BUFFER, regions], [gl.ELEMENT_ARRAY_BUFFER, indices]].map(([target, data], i) => {
      const buffer = gl.createBuffer();
      gl.bindBuffer(target, buffer);
      gl.bufferData(target, data, gl.STATIC_DRAW);
      if (i < 2) gl.enableVertexAttribArray(i);
      if (i === 0) gl.vertexAttribPointer(0, 4, gl.FLOAT, false, 0, 0);
      if (i === 1) gl.vertexAttribIPointer(1, 1, gl.UNSIGNED_INT, 0, 0);
      return buffer;
    });
    return { array, buffers, count: indices.length };
  }

  // --- what the visitor does ---

  listen() {
    const canvas = this.canvas;
    let [last, travelled] = [null, 0];
    canvas.onpointerdown = (event) => {
      [last, travelled] = [[event.clientX, event.clientY], 0];
      canvas.setPointerCapture(event.pointerId);
    };
    canvas.onpointermove = (event) => {
      if (!last) return this.hoverAt(event.clientX, event.clientY);
      const [dx, dy] = [event.clientX - last[0], event.clientY - last[1]];
      const slow = 0.0021 * (this.camera.distance - 1); // the surface keeps up with the pointer
      last = [event.clientX, event.clientY];
      travelled += Math.abs(dx) + Math.abs(dy);
      this.dragging = travelled >= 5;
      this.camera.turn(-dx * slow, dy * slow);
      this.hover(null);
      this.request();
    };
    canvas.onpointerup = (event) => {
      if (last && travelled < 5) this.choose(this.cellAt(event.clientX, event.clientY));
      this.release();
      last = null;
    };
    canvas.onpointercancel = () => this.release((last = null));
    canvas.onpointerleave = () => this.hover(null);
    canvas.onblur = () => this.hover(null);
    canvas.onwheel = (event) => {
      event.preventDefault();
      this.zoom(Math.exp(event.deltaY * 0.001));
    };
    canvas.onkeydown = (event) => this.key(event);
    canvas.addEventListener("webglcontextlost", (event) => event.preventDefault());
    canvas.addEventListener("webglcontextrestored", () => this.restore());
    const tools = { in: () => this.zoom(0.85), out: () => this.zoom(1 / 0.85), face: () => this.face(), save: () => this.save() };
    for (const button of this.root.querySelectorAll(".tools button")) button.onclick = tools[button.dataset.tool];
  }

  release() {
    this.dragging = false;
    this.request();
  }

  key(event) {
    const step = 0.12 * (this.camera.distance - 1) / 2;
    if (event.key in KEYS) this.camera.turn(KEYS[event.key][0] * step, KEYS[event.key][1] * step);
    else if (event.key === "+" || event.key === "=") this.zoom(0.85);
    else if (event.key === "-") this.zoom(1 / 0.85);
    else if (event.key !== "Enter") return;
    event.preventDefault();
    const box = this.canvas.getBoundingClientRect();
    const middle = [box.x + box.width / 2, box.y + box.height / 2];
    if (event.key === "Enter") this.choose(this.cellAt(...middle));
    else this.hoverAt(...middle);
  }

  choose(k) {
    if (k === null) return;
    this.select(k);
    this.pick(k);
  }

  zoom(factor) {
    this.camera.zoom(factor);
    this.request();
  }

  face() {
    if (this.selected !== null) this.camera.face(this.mesh.center(this.selected));
    this.request();
  }

  cellAt(clientX, clientY) {
    if (!this.mesh) return null;
    const box = this.canvas.getBoundingClientRect();
    const [u, v] = [(2 * (clientX - box.x)) / box.width - 1, 1 - (2 * (clientY - box.y)) / box.height];
    const point = this.camera.hit(u, v, box.width / box.height);
    return point && this.mesh.at(point);
  }

  hoverAt(clientX, clientY) {
    const k = this.cellAt(clientX, clientY);
    this.hover(k);
    if (k === null) return;
    const [box, tip] = [this.stage.getBoundingClientRect(), this.tip];
    const x = Math.min(clientX - box.x + 14, box.width - tip.offsetWidth - 6);
    const below = clientY - box.y + 16;
    const y = below + tip.offsetHeight > box.height ? below - tip.offsetHeight - 28 : below;
    tip.style.transform = `translate(${Math.max(0, x)}px,${y}px)`;
  }

  hover(k) {
    this.tip.hidden = k === null;
    if (k === this.hovered) return;
    this.hovered = k;
    if (k !== null) {
      const { tips, groups, members, membersKind, coherence, palette } = this.blob;
      const [swatch, title, facts] = this.tip.children;
      swatch.style.background = palette[groups[k]];
      title.textContent = `${k}  ${tips[k].join("  ")}`;
      const kind = membersKind ? ` (${membersKind})` : "";
      const parts = [`${members[k].toLocaleString("en")} ${members[k] === 1 ? "member" : "members"}${kind}`];
      if (Number.isFinite(coherence[k])) parts.push(`coherence ${coherence[k].toFixed(2)}`);
      facts.textContent = parts.join(" · ");
    }
    this.request();
  }

  // --- drawing ---

  request() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = undefined;
      this.draw();
    });
  }

  theme() {
    const style = getComputedStyle(this.stage);
    const [page, ink, font] = ["--st-background-color", "--st-text-color", "--st-code-font"].map((name) => style.getPropertyValue(name).trim());
    return { page, ink, font };
  }

  draw() {
    const gl = this.gl;
    const [width, height] = [this.canvas.clientWidth, this.canvas.clientHeight];
    if (!gl || !this.mesh || !width || !height) return;
    const scale = this.dragging ? 1 : clamp(devicePixelRatio, 1.5, 2);
    const [w, h] = [Math.round(width * scale), Math.round(height * scale)];
    if (this.canvas.width !== w || this.canvas.height !== h) [this.canvas.width, this.canvas.height] = [w, h];
    const theme = this.theme();
    const [page, ink] = [theme.page, theme.ink].map(rgb);
    const dark = page[0] + page[1] + page[2] < 1.2 ? 1 : 0;
    this.setColors(dark);
    if (this.ramp) this.root.querySelector(".ramp i").style.background = gradient(dark ? this.ramp.dark : this.ramp.light);
    gl.viewport(0, 0, w, h);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    this.drawHalo(w / h, dark);
    this.drawCells(w / h, dark, page, ink, 0.55 * scale);
    this.drawLabels(width, height);
  }

  drawHalo(aspect, dark) {
    const [gl, u] = [this.gl, this.halo.uniforms];
    gl.disable(gl.DEPTH_TEST);
    gl.disable(gl.CULL_FACE);
    gl.useProgram(this.halo.p);
    gl.uniform1f(u.disc, this.camera.disc(aspect));
    gl.uniform1f(u.aspect, aspect);
    gl.uniform1f(u.dark, dark);
    gl.uniform3fv(u.tint, dark ? [0.3, 0.38, 0.72] : [0.36, 0.42, 0.56]);
    gl.bindVertexArray(this.all.array);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }

  drawCells(aspect, dark, page, ink, halfEdge) {
    const [gl, u] = [this.gl, this.cells.uniforms];
    const { right, up, toward, eye } = this.camera.axes();
    const light = unit([0, 1, 2].map((i) => -0.45 * right[i] + 0.62 * up[i] + 0.64 * toward[i]));
    gl.enable(gl.DEPTH_TEST);
    gl.enable(gl.CULL_FACE);
    gl.useProgram(this.cells.p);
    gl.uniformMatrix4fv(u.view, false, this.camera.matrix(aspect));
    gl.uniform1ui(u.selected, this.selected ?? NONE);
    gl.uniform1ui(u.hovered, this.hovered ?? NONE);
    for (const [name, value] of Object.entries({ eye, light, page, ink })) gl.uniform3fv(u[name], value);
    for (const [name, value] of Object.entries({ dark, halfEdge, lit: this.ramp ? 0.45 : 1, raised: 0 })) gl.uniform1f(u[name], value);
    gl.uniform4fv(u.shadow, this.selected === null ? [0, 0, 0, 2] : this.shadow);
    gl.bindTexture(gl.TEXTURE_2D, this.texture);
    gl.bindVertexArray(this.all.array);
    gl.drawElements(gl.TRIANGLES, this.all.count, gl.UNSIGNED_INT, 0);
    if (this.selected === null) return;
    gl.uniform1f(u.raised, 1);
    gl.disable(gl.CULL_FACE);
    gl.bindVertexArray(this.top.array);
    gl.drawElements(gl.TRIANGLES, this.top.count, gl.UNSIGNED_INT, 0);
  }

  drawLabels(width, height) {
    const { mesh, camera, selected, selectedRadius } = this;
    const { names, ranking } = this.blob;
    this.placed = placeLabels({ mesh, names, ranking, selected, lift: LIFT, selectedRadius, camera, width, height });
    while (this.labels.children.length < this.placed.length) this.labels.append(document.createElement("span"));
    [...this.labels.children].forEach((span, i) => {
      const label = this.placed[i];
      span.hidden = !label;
      if (!label) return;
      span.textContent = label.text;
      span.className = label.on ? "on" : needsLightText(this.rgba, label.k) ? "light" : "";
      span.style.transform = `translate(-50%,-50%) translate(${label.x.toFixed(1)}px,${label.y.toFixed(1)}px)`;
    });
    const away = selected !== null && dot(mesh.center(selected), camera.axes().toward) < 1 / camera.distance;
    this.root.querySelector("[data-tool=face]").classList.toggle("away", away);
  }

  save() {
    if (!this.gl || !this.mesh) return;
    this.draw(); // the drawing buffer can be read in the same tick only
    const picture = document.createElement("canvas");
    [picture.width, picture.height] = [this.canvas.width, this.canvas.height];
    const context = picture.getContext("2d");
    const theme = this.theme();
    context.fillStyle = theme.page;
    context.fillRect(0, 0, picture.width, picture.height);
    context.drawImage(this.canvas, 0, 0);
    paintLabels(context, this.placed, this.rgba, picture.width / this.canvas.clientWidth, theme);
    const link = document.createElement("a");
    [link.href, link.download] = [picture.toDataURL("image/png"), this.file];
    link.click();
  }

  // After a lost context everything on the graphics card is gone: made anew from the blob.
  restore() {
    const { blob, selected } = this;
    for (const gone of ["all", "top", "texture", "blob"]) this[gone] = undefined;
    this.start();
    if (!blob || !this.gl) return;
    this.setBlob(blob);
    this.select(selected);
  }

  close() {
    this.resized.disconnect();
    cancelAnimationFrame(this.frame);
    this.gl?.getExtension("WEBGL_lose_context")?.loseContext(); // else page switches run out of contexts
    this.gl = null;
  }
}

// Any CSS colour as three numbers from 0 to 1.
function rgb(color) {
  const context = document.createElement("canvas").getContext("2d");
  context.fillStyle = color || "#fff";
  return [1, 3, 5].map((i) => parseInt(context.fillStyle.slice(i, i + 2), 16) / 255);
}

function element(tag, text, css) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (css) made.style.background = css;
  return made;
}

const gradient = (colors) => `linear-gradient(90deg,${colors.join()})`;

// Neighbourhoods with their colours and sizes, or the ramp of a number between its ends.
function drawLegend(place, { legend, ramp }) {
  const row = (...parts) => {
    const div = element("div");
    div.append(...parts);
    return div;
  };
  if (!ramp) {
    place.replaceChildren(...legend.map(([color, name, count]) => row(element("i", "", color), element("span", name), element("b", count))));
    return;
  }
  const bar = row(element("span", ramp.name), element("b", ramp.low), element("i", "", gradient(ramp.light)), element("b", ramp.high));
  bar.className = "ramp";
  place.replaceChildren(bar);
}

export default function ({ parentElement, data, setTriggerValue }) {
  let view = VIEWS.get(parentElement);
  if (!view) VIEWS.set(parentElement, (view = new View(parentElement, data.name)));
  view.pick = (k) => setTriggerValue("picked", k);
  view.file = data.file;
  const decor = JSON.stringify([data.blob, data.coloring]);
  if (view.decor !== decor) {
    [view.decor, view.coloring, view.ramp, view.rgba] = [decor, data.coloring, data.ramp, undefined];
    drawLegend(parentElement.querySelector(".legend"), data);
    view.request();
  }
  parentElement.querySelector(".note").textContent = data.note;

  const blobs = (window.epBlobs ??= new Map());
  const show = () => {
    const blob = blobs.get(data.blob);
    if (!blob) return false;
    const swapped = view.setBlob(blob);
    if (swapped || data.sequence !== view.sequence) view.select(data.selected);
    view.sequence = data.sequence;
    if (!view.returning) view.face(); // only the very first picture turns by itself
    view.returning = true;
    return true;
  };
  window.removeEventListener("ep-blob", view.waiting);
  view.waiting = () => show() && window.removeEventListener("ep-blob", view.waiting);
  if (!show()) window.addEventListener("ep-blob", view.waiting);

  return () => {
    window.removeEventListener("ep-blob", view.waiting);
    view.close();
    VIEWS.delete(parentElement);
  };
}
