// The methods of View for input: pointer, wheel, keys and tool buttons.

const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
const STILL = 5; // pixels of travel below which a press is a click
const KEYS_HELP = "Arrow keys move it, plus and minus zoom, Enter selects the region in the middle, F turns to the selected region, Escape clears the brush.";
const ABOUT = { sphere: `Map of regions on a sphere. ${KEYS_HELP}`, flat: `Map of regions in the plane. ${KEYS_HELP}` };

Object.assign(View.prototype, {
  listen() {
    const canvas = this.canvas;
    this.tool = "move";
    canvas.onpointerdown = (event) => this.press(event);
    canvas.onpointermove = (event) => (this.last ? this.pull(event) : this.hoverAt(event.clientX, event.clientY));
    canvas.onpointerup = (event) => this.lift(event);
    canvas.onpointercancel = () => this.release();
    canvas.onpointerleave = () => this.hover(null);
    canvas.onblur = () => this.hover(null);
    canvas.onwheel = (event) => {
      event.preventDefault();
      this.zoom(Math.exp(event.deltaY * 0.001), this.place(event.clientX, event.clientY));
    };
    canvas.onkeydown = (event) => this.key(event);
    canvas.addEventListener("webglcontextlost", (event) => event.preventDefault());
    canvas.addEventListener("webglcontextrestored", () => this.restore());
    const tools = {
      in: () => this.zoom(0.8),
      out: () => this.zoom(1 / 0.8),
      face: () => this.face(),
      png: () => this.save("png"),
      svg: () => this.save("svg"),
      clear: () => this.brush([]),
    };
    for (const button of this.root.querySelectorAll("[data-tool]")) button.onclick = tools[button.dataset.tool];
    for (const button of this.root.querySelectorAll("[data-mode]")) button.onclick = () => this.use(button.dataset.mode);
  },

  // Chooses a tool: "move", "lasso" or "box".
  use(tool) {
    this.tool = tool;
    for (const button of this.root.querySelectorAll("[data-mode]")) button.setAttribute("aria-pressed", button.dataset.mode === tool);
    this.wrap.dataset.mode = tool;
  },

  press(event) {
    if (event.button || !this.mesh) return;
    this.land();
    [this.last, this.travelled] = [[event.clientX, event.clientY], 0];
    this.drawn = this.brushable && event.shiftKey && this.tool === "move" ? "lasso" : this.tool;
    if (this.drawn !== "move") this.loop = [this.within(event)];
    this.canvas.setPointerCapture(event.pointerId);
  },

  pull(event) {
    const [dx, dy] = [event.clientX - this.last[0], event.clientY - this.last[1]];
    this.last = [event.clientX, event.clientY];
    this.travelled += Math.abs(dx) + Math.abs(dy);
    this.hover(null);
    if (this.drawn === "move") {
      this.dragging = this.travelled >= STILL;
      this.camera.drag(dx, dy, this.canvas.clientHeight, this.aspect);
      return this.moved();
    }
    const [point, start] = [this.within(event), this.loop[0]];
    if (this.drawn === "box") this.loop = [start, [point[0], start[1]], point, [start[0], point[1]]];
    else this.loop.push(point);
    return this.drawOverlay();
  },

  lift(event) {
    if (!this.last) return;
    const loop = this.loop;
    const clicked = this.travelled < STILL;
    this.release();
    if (clicked) this.choose(this.cellAt(event.clientX, event.clientY));
    else if (loop) this.brush(this.inside(loop));
  },

  release() {
    const drawn = this.loop;
    [this.last, this.loop] = [null, undefined];
    if (drawn) this.drawOverlay(); // without waiting for the cells, which may take longer
    if (this.dragging) {
      this.dragging = false;
      this.moved();
    }
    this.request();
  },

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !this.mesh) return;
    const keys = { "+": () => this.zoom(0.85), "=": () => this.zoom(0.85), "-": () => this.zoom(1 / 0.85), f: () => this.face(), F: () => this.face() };
    if (event.key in KEYS) {
      this.land();
      this.camera.step(...KEYS[event.key]);
      this.moved();
    } else if (event.key in keys) keys[event.key]();
    else if (event.key === "Escape") return this.escape();
    else if (event.key !== "Enter") return undefined;
    event.preventDefault();
    const box = this.canvas.getBoundingClientRect();
    const middle = [box.x + box.width / 2, box.y + box.height / 2];
    if (event.key === "Enter") return this.choose(this.cellAt(...middle));
    return this.hoverAt(...middle);
  },

  // Cancels an unfinished loop, or else the brush, or else returns to the tool "move".
  escape() {
    if (this.loop) this.release();
    else if (this.bright) this.brush([]);
    else this.use("move");
  },

  choose(k) {
    if (k === null) return;
    this.select(k);
    for (const view of this.siblings()) {
      const id = this.idIn(view, k);
      if (id !== null) view.select(id);
    }
    this.report("picked", k);
  },

  // Makes the regions the brush of this view and of its siblings, and reports them to Python.
  brush(regions) {
    if (!this.brushable) return;
    this.setBrush(regions);
    for (const view of this.siblings()) {
      view.setBrush([...new Set(regions.map((k) => this.idIn(view, k)).filter((k) => k !== null))]);
    }
    this.report("brushed", regions);
  },

  // The visible regions whose centre lies in a loop.
  inside(loop) {
    const { mesh, camera } = this;
    const [width, height] = [this.canvas.clientWidth, this.canvas.clientHeight];
    const view = camera.matrix(width / height);
    const area = new Path2D();
    loop.forEach(([x, y], i) => (i ? area.lineTo(x, y) : area.moveTo(x, y)));
    area.closePath();
    const [xs, ys] = [loop.map((p) => p[0]), loop.map((p) => p[1])];
    const box = [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
    const context = document.createElement("canvas").getContext("2d");
    const regions = [];
    for (let k = 0; k < mesh.size; k++) {
      const center = mesh.center(k);
      if (!camera.isVisible(center)) continue;
      const [x, y] = onScreen(view, center, width, height);
      if (x < box[0] || x > box[2] || y < box[1] || y > box[3]) continue;
      if (context.isPointInPath(area, x, y, "evenodd")) regions.push(k);
    }
    return regions;
  },

  zoom(factor, place) {
    if (!this.camera) return;
    this.land();
    this.camera.zoom(factor, place, this.aspect);
    this.moved();
  },

  // A position on the page in pixels of the stage.
  within(event) {
    const box = this.canvas.getBoundingClientRect();
    return [event.clientX - box.x, event.clientY - box.y];
  },

  // The same as u and v.
  place(clientX, clientY) {
    const box = this.canvas.getBoundingClientRect();
    return [(2 * (clientX - box.x)) / box.width - 1, 1 - (2 * (clientY - box.y)) / box.height];
  },

  cellAt(clientX, clientY) {
    if (!this.mesh) return null;
    const point = this.camera.hit(...this.place(clientX, clientY), this.aspect);
    return point && this.mesh.at(point);
  },

  hoverAt(clientX, clientY) {
    const box = this.canvas.getBoundingClientRect();
    const [x, y] = [clientX - box.x, clientY - box.y];
    const spot = this.overlay.dots?.find((d) => Math.hypot(d.x - x, d.y - y) <= DOT + 1);
    const k = spot ? spot.k : this.cellAt(clientX, clientY);
    this.hover(k, spot);
    for (const view of this.siblings()) view.hover(this.idIn(view, k), null, false);
    if (k !== null) this.moveTip(clientX, clientY);
  },

  moveTip(clientX, clientY) {
    const [box, tip] = [this.wrap.getBoundingClientRect(), this.tip];
    const x = Math.min(clientX - box.x + 14, box.width - tip.offsetWidth - 6);
    const below = clientY - box.y + 16;
    const y = below + tip.offsetHeight > box.height ? below - tip.offsetHeight - 28 : below;
    tip.style.transform = `translate(${Math.max(0, x)}px,${y}px)`;
  },

  // Outlines a region. withTip: also shows its tip, as only the view under the pointer does.
  // spot: the dot of a path under the pointer, if any.
  hover(k, spot = null, withTip = true) {
    if (k === null && withTip && this.blob) for (const view of this.siblings()) view.hovered !== null && view.hover(null, null, false);
    this.tip.hidden = k === null || !withTip;
    const described = `${k} ${spot?.tokens}`;
    if (k !== null && withTip && this.described !== described) this.describe(k, spot);
    this.described = described;
    if (k === this.hovered || !this.mesh) return;
    this.hovered = k;
    if (this.colors) this.drawOverlay();
  },

  describe(k, spot) {
    const { words, tips, tipsKind, members, membersKind, coherence } = this.blob;
    const [swatch, title, facts] = this.tip.children;
    const own = this.colors ? [0, 1, 2].map((i) => this.colors[3 * k + i]) : [0, 0, 0];
    swatch.style.background = `rgb(${own.join()})`;
    const telling = [...tips.subarray(3 * k, 3 * k + 3)].filter((i) => i !== NONE).map((i) => words[i]);
    title.textContent = `${k}  ${this.wholeNameOf(k)}`;
    const noun = members[k] === 1 ? "member" : "members";
    const parts = membersKind ? [`${members[k].toLocaleString("en")} ${noun} (${membersKind})`] : [];
    if (Number.isFinite(coherence[k])) parts.push(`coherence ${coherence[k].toFixed(2)}`);
    if (telling.length) parts.push(`${tipsKind} ${telling.join(" ")}`);
    facts.textContent = parts.join(" · ");
    const tokens = spot && spot.tokens.slice(0, 6).map((i) => `${i + 1} ${this.pathLabels[i] ?? ""}`).join("   ");
    this.find(".tip .way").textContent = tokens ? tokens + (spot.tokens.length > 6 ? " …" : "") : "";
  },
});
