// How the view moves: by hand, in flight to a region, and at the pace this machine draws at. Part of View.

const FLIGHT = 420; // milliseconds a flight to a region takes
const SLOW = 45; // milliseconds a moving frame may take before the next are drawn coarser
const REST = 160; // milliseconds without movement before the map is drawn in full again

Object.assign(View.prototype, {
  // Finds the grain at which this machine moves the map smoothly.
  pace() {
    const now = performance.now();
    if (this.before !== undefined) {
      this.usual = mixed(this.usual ?? SLOW / 2, now - this.before, 0.3);
      if (this.usual > SLOW) this.grain = Math.max(0.5, 0.85 * this.grain);
      else if (this.usual < SLOW / 2) this.grain = Math.min(1, 1.05 * this.grain);
    }
    this.before = this.moving ? now : undefined;
  },

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
  },

  followed() {
    this.moving = true;
    clearTimeout(this.resting);
    this.resting = setTimeout(() => this.rest(), REST);
    this.land();
    this.request();
  },

  rest() {
    if (this.dragging || this.flight) return;
    this.moving = false;
    this.request();
  },

  // Turns to the selected region: in flight, or at once for who wants less motion.
  face(quick = false) {
    if (this.selected === null) return;
    this.flyTo(this.camera.facing(this.mesh.center(this.selected)), quick);
  },

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
  },

  land() {
    cancelAnimationFrame(this.flight);
    this.flight = undefined;
  },

  // Whether the selected region stands well inside the picture.
  comfortable() {
    if (this.selected === null || !this.canvas.clientWidth) return true;
    const [width, height] = [this.canvas.clientWidth, this.canvas.clientHeight];
    const center = this.mesh.center(this.selected);
    if (this.kind === "sphere" && dot(center, this.camera.axes().toward) < Math.max(0.5, 1.05 / this.camera.distance)) return false;
    const [x, y] = onScreen(this.camera.matrix(this.aspect), center, width, height);
    return x > 0.08 * width && x < 0.92 * width && y > 0.1 * height && y < 0.94 * height;
  },
});
