// The methods of View for movement: by hand, in an animated flight to a region, and at a resolution
// that this machine can draw smoothly.

const FLIGHT = 420; // milliseconds a flight to a region takes
const SLOW = 45; // milliseconds per frame above which frames are drawn at a lower resolution
const REST = 160; // milliseconds without movement before the map is drawn in full again

Object.assign(View.prototype, {
  // Adapts the resolution (`grain`) to a running mean of the time between frames.
  pace() {
    const now = performance.now();
    if (this.before !== undefined) {
      this.frameTime = mixed(this.frameTime ?? SLOW / 2, now - this.before, 0.3);
      if (this.frameTime > SLOW) this.grain = Math.max(0.5, 0.85 * this.grain);
      else if (this.frameTime < SLOW / 2) this.grain = Math.min(1, 1.05 * this.grain);
    }
    this.before = this.moving ? now : undefined;
  },

  // Called after every change of the camera. Linked views with the same kind of map follow.
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

  // Turns to the selected region, animated unless `quick` or the system asks for reduced motion.
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

  // Ends a flight where it is.
  land() {
    cancelAnimationFrame(this.flight);
    this.flight = undefined;
  },

  // Whether the selected region is well inside the stage.
  comfortable() {
    if (this.selected === null || !this.canvas.clientWidth) return true;
    const [width, height] = [this.canvas.clientWidth, this.canvas.clientHeight];
    const center = this.mesh.center(this.selected);
    if (this.kind === "sphere" && dot(center, this.camera.axes().toward) < Math.max(0.5, 1.05 / this.camera.distance)) return false;
    const [x, y] = onScreen(this.camera.matrix(this.aspect), center, width, height);
    return x > 0.08 * width && x < 0.92 * width && y > 0.1 * height && y < 0.94 * height;
  },
});
