// Where the viewer stands: on a sphere around the unit sphere's centre, looking at it. Vectors are plain arrays of three.

const TAN_HALF_FIELD = Math.tan(0.36);
const [NEAREST, HOME, FARTHEST] = [1.25, 3.06, 6];
const STEEPEST = 1.5; // radians of pitch, just short of the poles

const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
const scaled = (a, s) => [a[0] * s, a[1] * s, a[2] * s];
const unit = (a) => scaled(a, 1 / Math.hypot(a[0], a[1], a[2]));
const clamp = (value, low, high) => Math.max(low, Math.min(high, value));

class Camera {
  yaw = 0.6;
  pitch = 0.35;
  distance = HOME;

  turn(yaw, pitch) {
    this.yaw += yaw;
    this.pitch = clamp(this.pitch + pitch, -STEEPEST, STEEPEST);
  }

  zoom(factor) {
    this.distance = clamp(this.distance * factor, NEAREST, FARTHEST);
  }

  // Turns so that a point stands up left of the middle, where its surroundings show too.
  face(point) {
    this.yaw = Math.atan2(point[0], point[2]) + 0.34;
    this.pitch = clamp(Math.asin(clamp(point[1], -1, 1)) - 0.34, -STEEPEST, STEEPEST);
  }

  // Right, up, and toward the viewer.
  axes() {
    const level = Math.cos(this.pitch);
    const toward = [Math.sin(this.yaw) * level, Math.sin(this.pitch), Math.cos(this.yaw) * level];
    const right = [Math.cos(this.yaw), 0, -Math.sin(this.yaw)];
    return { right, up: cross(toward, right), toward, eye: scaled(toward, this.distance) };
  }

  // Fits the sphere to the smaller side, in drawing and picking alike.
  static focal(aspect) {
    return Math.min(1, aspect) / TAN_HALF_FIELD;
  }

  // Column-major view-projection matrix.
  matrix(aspect) {
    const { right: x, up: y, toward: z, eye } = this.axes();
    const f = Camera.focal(aspect);
    const [near, far] = [0.05, 10];
    const a = (far + near) / (near - far);
    const b = (2 * far * near) / (near - far);
    const column = (i) => [(f / aspect) * x[i], f * y[i], a * z[i], -z[i]];
    const last = [(-f / aspect) * dot(x, eye), -f * dot(y, eye), -a * dot(z, eye) + b, dot(z, eye)];
    return new Float32Array([...column(0), ...column(1), ...column(2), ...last]);
  }

  // Radius of the sphere's disc as a share of half the height.
  disc(aspect) {
    return Camera.focal(aspect) / Math.sqrt(this.distance ** 2 - 1);
  }

  // The point of the unit sphere under a place on the screen (u right, v up, both -1 to 1), or null beside it.
  hit(u, v, aspect) {
    const { right, up, toward, eye } = this.axes();
    const f = Camera.focal(aspect);
    const ray = unit([0, 1, 2].map((i) => (u * aspect * right[i] + v * up[i]) / f - toward[i]));
    const along = dot(ray, eye);
    const inside = along * along - (this.distance ** 2 - 1);
    if (inside < 0) return null;
    const reach = -along - Math.sqrt(inside);
    return [0, 1, 2].map((i) => eye[i] + reach * ray[i]);
  }
}
