// The map: cells that can be turned or moved, zoomed, hovered, clicked and brushed. Geometry and
// names arrive once as a blob, colours as another; what changes with a click is a small object.
// Uses all files before it in PARTS (ep/views/standalone.py).

const SHADOW = 0.05; // largest reach of the raised cell's shadow, in radians
const NONE = 0xffffffff; // stands for no index in arrays of uint32
const CAMERAS = (window.epCameras ??= {}); // cameras by the view's name, kept while pages are switched

class View {
  selected = null;
  hovered = null;
  bright = null; // the brushed regions as a set, null without a brush
  path = [];
  pathLabels = [];
  names = {};
  partners = null; // each region's partner in the dictionary of the linked view
  placed = [];
  grain = 1; // canvas pixels per page pixel while moving, fewer on a slow machine
  report = () => {}; // called with (what, value) when the visitor selects or brushes

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
    this.wrap.addEventListener("transitionend", (event) => event.target === this.wrap && this.request()); // the theme changed
  }

  // --- content ---

  setBlob(blob) {
    if (this.blob === blob) return false;
    this.blob = blob;
    this.kind = blob.kind;
    this.mesh = new (this.kind === "flat" ? FlatMesh : SphereMesh)(blob);
    const key = this.kind === "flat" ? `${this.name} flat` : this.name;
    this.returning = key in CAMERAS;
    this.camera = CAMERAS[key] ??= new (this.kind === "flat" ? FlatCamera : SphereCamera)();
    if (this.kind === "flat") this.camera.extent = this.mesh.extent;
    this.hover(null);
    this.selected = null;
    this.land();
    this.wrap.dataset.kind = this.kind;
    this.canvas.setAttribute("aria-label", ABOUT[this.kind]);
    if (this.gl) this.build();
    return true;
  }

  // The name of a region, short for the map and whole for its tip: one that Python sent, or else the file's.
  nameOf = (k) => this.names[k]?.[0] ?? this.blob.words[this.blob.names[k]];
  wholeNameOf = (k) => this.names[k]?.[1] ?? this.blob.words[this.blob.wholes[k]];

  setColors(blob) {
    if (this.colorBlob === blob) return;
    this.colorBlob = blob;
    this.colors = undefined;
    this.request();
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

  // Sets the regions that stay bright while the others fade; an empty list clears the brush.
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

  // --- stage ---

  get aspect() {
    return this.canvas.clientWidth / this.canvas.clientHeight;
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

  // The current state as exports and overlays need it.
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

  // The boxes that names must not overlap: the tools at the right, the brush's count at the left,
  // and the dots of a path.
  taken(width, height) {
    const boxes = [{ x: width - 16, y: height - 110, halfWidth: 12, halfHeight: 110 }];
    if (this.bright) boxes.push({ x: 60, y: 14, halfWidth: 60, halfHeight: 10 });
    if (!this.path.length) return boxes;
    const view = this.camera.matrix(width / height);
    const visible = [...new Set(this.path)].filter((k) => k >= 0 && k < this.mesh.size && this.camera.isVisible(this.mesh.center(k)));
    return boxes.concat(visible.slice(0, MOST_DOTS).map((k) => {
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

  close() {
    this.unlink();
    this.land();
    this.resized.disconnect();
    cancelAnimationFrame(this.drawing);
    clearTimeout(this.resting);
    clearTimeout(this.preparing);
    this.gl?.getExtension("WEBGL_lose_context")?.loseContext(); // browsers limit the number of live contexts
    this.gl = null;
  }
}
