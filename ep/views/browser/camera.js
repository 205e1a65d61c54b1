// The viewer's position: two cameras with the same methods, one around a sphere and one above a
// plane. Vectors are plain arrays of three numbers. Positions on the stage are u (right) and v
// (up), each from -1 to 1.

const TAN_HALF_FIELD = Math.tan(0.36);
const [NEAREST, HOME, FARTHEST] = [1.06, 3.06, 6];
const STEEPEST = 1.5; // radians of pitch, just short of the poles

const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
const scaled = (a, s) => [a[0] * s, a[1] * s, a[2] * s];
const unit = (a) => scaled(a, 1 / (Math.hypot(a[0], a[1], a[2]) || 1));
const clamp = (value, low, high) => Math.max(low, Math.min(high, value));
const mixed = (a, b, t) => a + (b - a) * t;

// Projects a point onto a width x height stage, in pixels, by a column-major view-projection
// matrix.
function onScreen(view, p, width, height) {
  const w = view[3] * p[0] + view[7] * p[1] + view[11] * p[2] + view[15];
  const x = (view[0] * p[0] + view[4] * p[1] + view[8] * p[2] + view[12]) / w;
  const y = (view[1] * p[0] + view[5] * p[1] + view[9] * p[2] + view[13]) / w;
  return [(x * 0.5 + 0.5) * width, (0.5 - y * 0.5) * height];
}

class SphereCamera {
  yaw = 0.6;
  pitch = 0.35;
  distance = HOME;

  get look() {
    return [this.yaw, this.pitch, this.distance];
  }

  set look([yaw, pitch, distance]) {
    this.yaw = yaw;
    this.pitch = clamp(pitch, -STEEPEST, STEEPEST);
    this.distance = clamp(distance, NEAREST, FARTHEST);
  }

  // Magnification relative to the initial view.
  get nearness() {
    return (HOME - 1) / (this.distance - 1);
  }

  // Turns the sphere so that its surface follows a pointer that moves by (dx, dy) pixels.
  drag(dx, dy) {
    const rate = 0.0021 * (this.distance - 1);
    this.look = [this.yaw - dx * rate, this.pitch + dy * rate, this.distance];
  }

  step(x, y) {
    const step = (0.12 * (this.distance - 1)) / 2;
    this.look = [this.yaw + x * step, this.pitch + y * step, this.distance];
  }

  zoom(factor) {
    this.distance = clamp(1 + (this.distance - 1) * factor, NEAREST, FARTHEST);
  }

  // The look that shows a point up and left of the middle, so that its surroundings are visible
  // too.
  facing(point) {
    const aside = 0.34 * clamp((this.distance - 1) / (HOME - 1), 0.05, 1);
    const pitch = clamp(Math.asin(clamp(point[1], -1, 1)) - aside, -STEEPEST, STEEPEST);
    return [Math.atan2(point[0], point[2]) + aside, pitch, this.distance];
  }

  // Interpolates between two looks at t in [0, 1], turning in the shorter direction.
  between(from, to, t) {
    const round = to[0] - from[0] - 2 * Math.PI * Math.round((to[0] - from[0]) / (2 * Math.PI));
    return [from[0] + round * t, mixed(from[1], to[1], t), mixed(from[2], to[2], t)];
  }

  // The viewer's unit axes (right, up and toward the viewer) and the position of the eye.
  axes() {
    const level = Math.cos(this.pitch);
    const toward = [Math.sin(this.yaw) * level, Math.sin(this.pitch), Math.cos(this.yaw) * level];
    const right = [Math.cos(this.yaw), 0, -Math.sin(this.yaw)];
    return { right, up: cross(toward, right), toward, eye: scaled(toward, this.distance) };
  }

  // Focal length that fits the sphere to the smaller side of the stage, for drawing and picking.
  focal(aspect) {
    return Math.min(1, aspect) / TAN_HALF_FIELD;
  }

  // Column-major view-projection matrix.
  matrix(aspect) {
    const { right: x, up: y, toward: z, eye } = this.axes();
    const f = this.focal(aspect);
    const [near, far] = [0.02, 10];
    const a = (far + near) / (near - far);
    const b = (2 * far * near) / (near - far);
    const column = (i) => [(f / aspect) * x[i], f * y[i], a * z[i], -z[i]];
    const last = [(-f / aspect) * dot(x, eye), -f * dot(y, eye), -a * dot(z, eye) + b, dot(z, eye)];
    return new Float32Array([...column(0), ...column(1), ...column(2), ...last]);
  }

  // Radius of the sphere's disc, as a share of half the stage's height.
  disc(aspect) {
    return this.focal(aspect) / Math.sqrt(this.distance ** 2 - 1);
  }

  // Pixels per radian of the surface in the middle of a stage of this height.
  density(aspect, height) {
    return (this.focal(aspect) * height) / 2 / (this.distance - 1);
  }

  // Whether a point of the surface lies on the viewer's side of the limb.
  isVisible(point) {
    return dot(point, this.axes().toward) > 1 / this.distance;
  }

  // The point of the sphere at (u, v) on the stage, or null beside the sphere.
  hit(u, v, aspect) {
    const { right, up, toward, eye } = this.axes();
    const f = this.focal(aspect);
    const ray = unit([0, 1, 2].map((i) => (u * aspect * right[i] + v * up[i]) / f - toward[i]));
    const along = dot(ray, eye);
    const inside = along * along - (this.distance ** 2 - 1);
    if (inside < 0) return null;
    const reach = -along - Math.sqrt(inside);
    return [0, 1, 2].map((i) => eye[i] + reach * ray[i]);
  }

  // Half the angle of the visible cap, in radians.
  cap(aspect) {
    const corner = this.hit(1, 1, aspect);
    return corner ? Math.acos(clamp(dot(corner, this.axes().toward), -1, 1)) : Math.acos(1 / this.distance);
  }
}

class FlatCamera {
  x = 0;
  y = 0;
  closer = 1;
  extent = [1, 1]; // half the map's width and height
  rise = 0; // shift up the screen per unit of height, as a share of half the stage's height
  gutter = 0; // share of the stage's width that is left free, so that the tools are beside the map

  get look() {
    return [this.x, this.y, this.closer];
  }

  set look([x, y, closer]) {
    this.closer = clamp(closer, 0.6, 120);
    this.x = clamp(x, -this.extent[0], this.extent[0]);
    this.y = clamp(y, -this.extent[1], this.extent[1]);
  }

  get nearness() {
    return this.closer;
  }

  drag(dx, dy, height, aspect) {
    const size = 2 / (height * this.focal(aspect));
    this.look = [this.x - dx * size, this.y + dy * size, this.closer];
  }

  step(x, y) {
    this.look = [this.x + (0.1 * x) / this.closer, this.y + (0.1 * y) / this.closer, this.closer];
  }

  // Zooms so that the point at `place` (u, v) stays where it is.
  zoom(factor, place, aspect) {
    const before = place && this.hit(...place, aspect);
    this.closer = clamp(this.closer / factor, 0.6, 120);
    if (!before) return;
    const after = this.hit(...place, aspect);
    this.look = [this.x + before[0] - after[0], this.y + before[1] - after[1], this.closer];
  }

  facing(point) {
    return [point[0], point[1], this.closer];
  }

  between(from, to, t) {
    return [0, 1, 2].map((i) => mixed(from[i], to[i], t));
  }

  axes() {
    return { right: [1, 0, 0], up: [0, 1, 0], toward: [0, 0, 1], eye: [this.x, this.y, 10] };
  }

  // Focal length that fits the map to the stage, for drawing and picking.
  focal(aspect) {
    return (this.closer * Math.min(1 / this.extent[1], (aspect * (1 - this.gutter)) / this.extent[0])) / 1.03;
  }

  matrix(aspect) {
    const f = this.focal(aspect);
    return new Float32Array([f / aspect, 0, 0, 0, 0, f, 0, 0, 0, this.rise, -0.5, 0, (-f / aspect) * this.x, -f * this.y, 0, 1]);
  }

  disc() {
    return 0;
  }

  density(aspect, height) {
    return (this.focal(aspect) * height) / 2;
  }

  isVisible() {
    return true;
  }

  hit(u, v, aspect) {
    const f = this.focal(aspect);
    return [this.x + (u * aspect) / f, this.y + v / f, 0];
  }
}
