// The map: cells that can be turned or moved, zoomed, hovered, clicked and brushed. Geometry and names arrive once as a
// blob, colours as another; what changes with a click is a small object. Uses every part before it in PARTS.

const SHADOW = 0.05; // radians the raised cell's shadow reaches at most
const RISE = 7; // how far the selected cell of a flat map is raised, in pixels
const GUTTER = 30; // pixels beside a flat map on either side
const NONE = 0xffffffff;
const FLIGHT = 420; // milliseconds a flight to a region takes
const SLOW = 45; // milliseconds a moving frame may take before the next are drawn coarser
const REST = 160; // milliseconds without movement before the map is drawn in full again
const FAILED = "This browser cannot draw the map: WebGL 2 is missing or switched off. The table holds every region and works without it.";
const CAMERAS = (window.epCameras ??= {}); // by place on the page: coming back to a page finds the camera too
const LINKS = (window.epLinks ??= new Map()); // by link name: the views that move and brush together

class View {
  selected = null;
  hovered = null;
  bright = null; // the brushed regions as a set, null when none
  path = [];
  pathLabels = [];
  names = {};
  partners = null; // by region: its partner in the linked map of another dictionary
  placed = [];
  grain = 1; // canvas pixels to one of the page while moving: fewer on a slow machine
  tell = () => {};

  constructor(root, name) {
    this.root = root;
    this.name = name;
    this.find = (selector) => root.querySelector(selector);
    [this.canvas, this.tip, this.labels, this.stage, this.wrap] = [".cells", ".tip", ".labels", ".stage", ".wrap"].map(this.find);
    this.overlay = new Overlay(this.find(".over"));
    this.start();
    this.listen();
    this.resized = new ResizeObserver(() => this.request());
    this.resized.observe(this.canvas);
    this.wrap.addEventListener("transitionend", (event) => event.target === this.wrap && this.request()); // another theme
  }

  start() {
    const gl = (this.gl = this.canvas.getContext("webgl2", { antialias: true, premultipliedAlpha: true }));
    this.programs = {};
    if (!gl) this.fail("no WebGL 2");
  }

  fail(message) {
    console.warn("The map cannot be drawn:", message);
    this.gl = null;
    const failed = this.find(".failed");
    failed.hidden = false;
    failed.textContent = FAILED;
    this.find(".tools").hidden = true;
  }

  // --- what it shows ---

  setBlob(blob) {
    if (this.blob === blob) return false;
    this.blob = blob;
    this.kind = blob.kind;
    this.mesh = new (this.kind === "flat" ? FlatMesh : SphereMesh)(blob);
    const place = this.kind === "flat" ? `${this.name} flat` : this.name;
    this.returning = place in CAMERAS;
    this.camera = CAMERAS[place] ??= new (this.kind === "flat" ? FlatCamera : SphereCamera)();
    if (this.kind === "flat") this.camera.extent = this.mesh.extent;
    this.hover(null);
    this.selected = null;
    this.land();
    this.wrap.dataset.kind = this.kind;
    this.canvas.setAttribute("aria-label", ABOUT[this.kind]);
    if (this.gl) this.build();
    return true;
  }

  build() {
    try {
      this.programs[this.kind] ??= programs(this.gl, this.kind === "flat");
    } catch (error) {
      return this.fail(error.message);
    }
    this.all = this.upload(this.mesh.triangles(), this.all);
    this.coarse?.close();
    this.coarse = this.mesh.size > MANY ? new Coarse(this.gl, this.kind) : null;
    return undefined;
  }

  // The name that stands on the map for a region; one given by hand goes before its token.
  nameOf = (k) => this.names[k] ?? this.blob.words[this.blob.names[k]];

  setColors(blob) {
    if (this.colorBlob === blob) return;
    this.colorBlob = blob;
    this.colors = undefined;
    this.request();
  }

  // Colours live in a texture of one texel per region: a change of colouring, theme or brush touches no geometry.
  paint(dark) {
    const colors = (dark && this.colorBlob.dark) || this.colorBlob.light;
    if (this.colors === colors) return;
    this.colors = colors;
    const gl = this.gl;
    const rows = Math.ceil(this.mesh.size / 256);
    const texels = new Uint8Array(1024 * rows);
    for (let k = 0; k < this.mesh.size; k++) {
      texels[4 * k] = colors[3 * k];
      texels[4 * k + 1] = colors[3 * k + 1];
      texels[4 * k + 2] = colors[3 * k + 2];
      texels[4 * k + 3] = !this.bright || this.bright.has(k) ? 255 : 0;
    }
    this.texture ??= gl.createTexture();
    gl.bindTexture(gl.TEXTURE_2D, this.texture);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, 256, rows, 0, gl.RGBA, gl.UNSIGNED_BYTE, texels);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
  }

  select(k) {
    this.selected = this.mesh && k !== null && k < this.mesh.size ? k : null;
    if (this.selected !== null && this.gl) {
      this.top = this.upload(this.mesh.raised(k), this.top);
      const [radius, center] = [this.mesh.radius(k), this.mesh.center(k)];
      const end = radius + Math.min(0.28 * radius, SHADOW);
      this.shadow = [...center, this.kind === "flat" ? 1.35 * radius : Math.cos(end)];
    }
    this.request();
  }

  // Regions that stay bright while the others pale; an empty list brings all back.
  setBrush(regions) {
    this.bright = regions.length ? new Set(regions) : null;
    this.colors = undefined;
    const badge = this.find(".brushed");
    badge.hidden = !this.bright;
    this.find(".brushed span").textContent = `${regions.length.toLocaleString("en")} ${regions.length === 1 ? "region" : "regions"}`;
    this.request();
  }

  setPath(path, labels) {
    [this.path, this.pathLabels] = [path, labels];
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

  // --- where it is seen from ---

  get aspect() {
    return this.canvas.clientWidth / this.canvas.clientHeight;
  }

  // Finds the grain at which this machine moves the map smoothly.
  pace() {
    const now = performance.now();
    if (this.before !== undefined) {
      this.usual = mixed(this.usual ?? SLOW / 2, now - this.before, 0.3);
      if (this.usual > SLOW) this.grain = Math.max(0.5, 0.85 * this.grain);
      else if (this.usual < SLOW / 2) this.grain = Math.min(1, 1.05 * this.grain);
    }
    this.before = this.moving ? now : undefined;
  }

  // After every change of the camera, by hand or in flight: linked views of one kind of map follow.
  moved() {
    this.moving = true;
    clearTimeout(this.resting);
    this.resting = setTimeout(() => this.rest(), REST);
    for (const other of this.linked()) {
      if (other.kind !== this.kind || !other.camera) continue;
      other.camera.look = this.camera.look;
      other.followed();
    }
    this.request();
  }

  followed() {
    this.moving = true;
    clearTimeout(this.resting);
    this.resting = setTimeout(() => this.rest(), REST);
    this.land();
    this.request();
  }

  rest() {
    if (this.dragging || this.flight) return;
    this.moving = false;
    this.request();
  }

  // Turns to the selected region: in flight, or at once for who wants less motion.
  face(quick = false) {
    if (this.selected === null) return;
    this.flyTo(this.camera.facing(this.mesh.center(this.selected)), quick);
  }

  flyTo(look, quick = false) {
    this.land();
    if (quick || matchMedia("(prefers-reduced-motion: reduce)").matches) {
      this.camera.look = look;
      return this.moved();
    }
    const [from, start] = [this.camera.look, performance.now()];
    const step = () => {
      const t = clamp((performance.now() - start) / FLIGHT, 0, 1);
      this.camera.look = this.camera.between(from, look, t * t * (3 - 2 * t));
      this.flight = t < 1 ? requestAnimationFrame(step) : undefined;
      this.moved();
    };
    this.flight = requestAnimationFrame(step);
    return undefined;
  }

  land() {
    cancelAnimationFrame(this.flight);
    this.flight = undefined;
  }

  // Whether the selected region stands well inside the picture.
  comfortable() {
    if (this.selected === null || !this.canvas.clientWidth) return true;
    const [width, height] = [this.canvas.clientWidth, this.canvas.clientHeight];
    const center = this.mesh.center(this.selected);
    if (this.kind === "sphere" && dot(center, this.camera.axes().toward) < Math.max(0.5, 1.05 / this.camera.distance)) return false;
    const [x, y] = onScreen(this.camera.matrix(this.aspect), center, width, height);
    return x > 0.08 * width && x < 0.92 * width && y > 0.1 * height && y < 0.94 * height;
  }

  // --- the other views ---

  setLink(name) {
    if (this.link === name) return;
    this.unlink();
    this.link = name;
    if (!name) return;
    if (!LINKS.has(name)) LINKS.set(name, new Set());
    LINKS.get(name).add(this);
  }

  unlink() {
    LINKS.get(this.link)?.delete(this);
    if (LINKS.get(this.link)?.size === 0) LINKS.delete(this.link);
  }

  linked() {
    return [...(LINKS.get(this.link) ?? [])].filter((view) => view !== this);
  }

  // Linked views that know this view's regions: of the same dictionary, or of another one whose partners were given.
  siblings() {
    return this.linked().filter((view) => view.blob && (this.partners || this.sameFile(view)));
  }

  sameFile(view) {
    return view.blob.id.split(" ")[0] === this.blob.id.split(" ")[0];
  }

  // What a region of this view is called in a sibling, or null when it has no partner there.
  idIn(view, k) {
    if (k === null || this.sameFile(view)) return k;
    return this.partners[k] === NONE ? null : this.partners[k];
  }

  // --- drawing ---

  request() {
    this.drawing ??= requestAnimationFrame(() => {
      this.drawing = undefined;
      this.draw();
    });
  }

  theme() {
    const style = getComputedStyle(this.wrap);
    const read = (name) => style.getPropertyValue(name).trim();
    const theme = { page: read("--st-background-color"), ink: read("--st-text-color"), font: read("--st-code-font"), primary: read("--st-primary-color") };
    const [r, g, b] = rgb(theme.page);
    return { ...theme, dark: r + g + b < 1.2 ? 1 : 0 };
  }

  // Everything that exports and overlays need to know of this moment.
  scene() {
    const { canvas, mesh, camera, selected, hovered, loop, path, bright, ramp, legend, note, title } = this;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    const theme = this.theme();
    const view = camera.matrix(width / height);
    return { canvas, mesh, camera, selected, hovered, loop, path, bright, ramp, legend, note, title, width, height, theme, view, colors: this.colors };
  }

  draw() {
    if (!this.gl || this.gl.isContextLost() || !this.all || !this.colorBlob || !this.canvas.clientWidth || !this.canvas.clientHeight) return;
    this.pace();
    this.stage.classList.toggle("moving", Boolean(this.moving));
    this.drawCells(this.moving ? Math.round(20 * this.grain) / 20 : clamp(devicePixelRatio, 1.5, 2));
    this.drawLabels();
    this.drawOverlay();
    if (!this.moving) this.prepare();
  }

  drawCells(scale) {
    const { gl, camera } = this;
    const [width, height] = [this.canvas.clientWidth, this.canvas.clientHeight];
    const [w, h] = [Math.round(width * scale), Math.round(height * scale)];
    if (this.canvas.width !== w || this.canvas.height !== h) [this.canvas.width, this.canvas.height] = [w, h];
    const theme = this.theme();
    this.paint(theme.dark);
    if (this.ramp) this.find(".ramp i").style.background = gradient(theme.dark ? this.ramp.dark : this.ramp.light);
    [camera.rise, camera.gutter] = [(2 * RISE) / height, Math.min(0.2, (2 * GUTTER) / width)];
    gl.viewport(0, 0, w, h);
    gl.clearColor(0, 0, 0, 0);
    gl.depthMask(true);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    if (this.kind === "sphere") this.drawHalo(w / h, theme.dark);
    const coarse = this.moving && this.coarse?.ready && this.coarse.sharp(camera, this.mesh, w / h, height);
    if (coarse) this.drawIds(theme, w / h, h);
    else this.drawMesh(theme, w / h, scale);
    this.drawRaised(theme, w / h, scale);
  }

  drawHalo(aspect, dark) {
    const { gl } = this;
    const { p, uniforms: u } = this.programs[this.kind].halo;
    gl.disable(gl.DEPTH_TEST);
    gl.disable(gl.CULL_FACE);
    gl.useProgram(p);
    gl.uniform1f(u.disc, this.camera.disc(aspect));
    gl.uniform1f(u.aspect, aspect);
    gl.uniform1f(u.dark, dark);
    gl.uniform3fv(u.tint, dark ? [0.3, 0.38, 0.72] : [0.36, 0.42, 0.56]);
    gl.bindVertexArray(this.all.array);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }

  // What the shading of cells needs, however they are drawn.
  setShading({ p, uniforms: u }, theme, raised) {
    const { gl } = this;
    const { right, up, toward, eye } = this.camera.axes();
    const light = unit([0, 1, 2].map((i) => LIGHT[0] * right[i] + LIGHT[1] * up[i] + LIGHT[2] * toward[i]));
    gl.useProgram(p);
    for (const [name, value] of Object.entries({ eye, light, right, up, toward, page: rgb(theme.page), ink: rgb(theme.ink) })) {
      if (u[name]) gl.uniform3fv(u[name], value);
    }
    for (const [name, value] of Object.entries({ dark: theme.dark, lit: this.ramp ? 0.45 : 1, raised })) gl.uniform1f(u[name], value);
    gl.uniform4fv(u.shadow, this.selected !== null ? this.shadow : this.kind === "flat" ? [99, 99, 0, 0.01] : [0, 0, 0, 2]);
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, this.texture);
    if (u.colors) gl.uniform1i(u.colors, 0);
    return u;
  }

  drawMesh(theme, aspect, scale) {
    const { gl } = this;
    gl.enable(gl.DEPTH_TEST);
    gl.enable(gl.CULL_FACE);
    const u = this.setShading(this.programs[this.kind].cells, theme, 0);
    gl.uniformMatrix4fv(u.view, false, this.camera.matrix(aspect));
    gl.uniform1ui(u.selected, this.selected ?? NONE);
    gl.uniform1f(u.halfEdge, 0.55 * scale);
    gl.bindVertexArray(this.all.array);
    for (const [start, length] of this.mesh.runs(this.camera, aspect)) gl.drawElements(gl.TRIANGLES, length, gl.UNSIGNED_INT, 4 * start);
  }

  drawIds(theme, aspect, height) {
    const { gl, camera, mesh } = this;
    gl.disable(gl.DEPTH_TEST);
    gl.disable(gl.CULL_FACE);
    const u = this.setShading(this.programs[this.kind].coarse, theme, 0);
    gl.activeTexture(gl.TEXTURE1);
    gl.bindTexture(gl.TEXTURE_2D_ARRAY, this.coarse.texture);
    gl.uniform1i(u.ids, 1);
    gl.activeTexture(gl.TEXTURE0);
    const cell = camera.density(aspect, height) * Math.sqrt((this.kind === "flat" ? 1 : Math.PI) / mesh.size); // half a cell, in pixels
    if (u.box) gl.uniform4fv(u.box, [...mesh.extent, camera.x, camera.y]);
    gl.uniform1f(u.aspect, aspect);
    gl.uniform1f(u.focal, camera.focal(aspect));
    gl.uniform1f(u.edges, 0.55 * clamp((1.5 * cell - 2) / 6, 0, 1));
    gl.bindVertexArray(this.all.array);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }

  // The selected cell alone stands above what is drawn already.
  drawRaised(theme, aspect, scale) {
    const { gl, camera, mesh } = this;
    if (this.selected === null || !this.top) return;
    const reach = this.kind === "sphere" ? mesh.radius(this.selected) : 0;
    if (this.kind === "sphere" && dot(mesh.center(this.selected), camera.axes().toward) < Math.cos(Math.acos(1 / camera.distance) + reach)) return;
    const behind = this.coarse && this.moving; // ids leave no depth
    if (behind) gl.clear(gl.DEPTH_BUFFER_BIT);
    if (behind && !camera.sees(mesh.center(this.selected))) return;
    gl.enable(gl.DEPTH_TEST);
    gl.disable(gl.CULL_FACE);
    const u = this.setShading(this.programs[this.kind].cells, theme, 1);
    gl.uniformMatrix4fv(u.view, false, camera.matrix(aspect));
    gl.uniform1ui(u.selected, this.selected);
    gl.uniform1f(u.halfEdge, 0.55 * scale);
    gl.bindVertexArray(this.top.array);
    gl.drawElements(gl.TRIANGLES, this.top.count, gl.UNSIGNED_INT, 0);
  }

  // Draws the ids of many cells in pauses, a layer at a time, so that movement is quick when it comes.
  prepare() {
    if (!this.coarse || this.coarse.ready || this.preparing) return;
    this.preparing = setTimeout(() => {
      this.preparing = undefined;
      if (!this.gl || !this.coarse || this.gl.isContextLost()) return;
      if (!this.moving) this.coarse.draw(this.programs[this.kind].ids, this.mesh, this.all);
      this.prepare();
    }, 60);
  }

  drawLabels() {
    const { mesh, camera, selected, nameOf } = this;
    const [width, height] = [this.canvas.clientWidth, this.canvas.clientHeight];
    this.placed = placeLabels({ mesh, nameOf, selected, camera, width, height, taken: this.taken(width, height) });
    while (this.labels.children.length < this.placed.length) this.labels.append(document.createElement("span"));
    [...this.labels.children].forEach((span, i) => {
      const label = this.placed[i];
      span.hidden = !label;
      if (!label) return;
      if (span.textContent !== label.text) span.textContent = label.text;
      span.className = label.on ? "on" : needsLightText(this.colors, label.k) && !(this.bright && !this.bright.has(label.k)) ? "light" : "";
      span.style.transform = `translate(-50%,-50%) translate(${label.x.toFixed(1)}px,${label.y.toFixed(1)}px)`;
    });
    this.find("[data-tool=face]").classList.toggle("away", !this.comfortable());
  }

  // Boxes names keep clear of: the tools at the right, the brush's count at the left, the dots of a way.
  taken(width, height) {
    const boxes = [{ x: width - 16, y: height - 110, halfWidth: 12, halfHeight: 110 }];
    if (this.bright) boxes.push({ x: 60, y: 14, halfWidth: 60, halfHeight: 10 });
    if (!this.path.length) return boxes;
    const view = this.camera.matrix(width / height);
    const seen = [...new Set(this.path)].filter((k) => k >= 0 && k < this.mesh.size && this.camera.sees(this.mesh.center(k)));
    return boxes.concat(seen.slice(0, MOST_DOTS).map((k) => {
      const [x, y] = onScreen(view, this.mesh.center(k), width, height);
      return { x, y, halfWidth: 0, halfHeight: 2 };
    }));
  }

  drawOverlay() {
    this.overlay.draw(this.scene());
  }

  // --- files ---

  save(format) {
    if (!this.gl || !this.colors) return;
    this.drawLabels();
    const scene = this.scene();
    const picture = () => painted(scene, (scale) => this.drawCells(scale), this.placed, 2).toDataURL("image/png");
    const cells = () => {
      this.drawCells(2);
      return this.canvas.toDataURL("image/png");
    };
    this.moving = false;
    if (format === "png") download(picture(), `${this.file}.png`);
    else download(URL.createObjectURL(new Blob([svg(scene, this.placed, cells)], { type: "image/svg+xml" })), `${this.file}.svg`);
    this.request();
  }

  // After a lost context everything on the graphics card is gone: made anew from the blob.
  restore() {
    for (const gone of ["all", "top", "texture", "colors", "coarse"]) this[gone] = undefined;
    this.start();
    if (!this.blob || !this.gl) return;
    this.build();
    this.select(this.selected);
  }

  close() {
    this.unlink();
    this.land();
    this.resized.disconnect();
    cancelAnimationFrame(this.drawing);
    clearTimeout(this.resting);
    clearTimeout(this.preparing);
    this.gl?.getExtension("WEBGL_lose_context")?.loseContext(); // else page switches run out of contexts
    this.gl = null;
  }
}

// Any CSS colour as three numbers from 0 to 1.
const RGB = new Map();
function rgb(color) {
  if (!RGB.has(color)) {
    const context = document.createElement("canvas").getContext("2d");
    context.fillStyle = color || "#fff";
    RGB.set(color, [1, 3, 5].map((i) => parseInt(context.fillStyle.slice(i, i + 2), 16) / 255));
  }
  return RGB.get(color);
}

function element(tag, text, css) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (css) made.style.background = css;
  return made;
}

const gradient = (colors) => `linear-gradient(90deg,${colors.join()})`;

// Groups with their colours and sizes, or the ramp of a number between its ends.
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
