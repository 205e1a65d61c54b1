// Triangles of the cells on the sphere. Long sides are halved, so that large cells follow the
// sphere. Uses mesh.js.

const LONGEST_SQUARED = 0.02; // square of the longest side that is not halved
const DEEPEST = 12; // largest number of times that a triangle is halved

const squared = (a, b) => (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2 + (a[2] - b[2]) ** 2;
const halfway = (a, b) => [...unit([a[0] + b[0], a[1] + b[1], a[2] + b[2]]), (a[3] + b[3]) / 2];

// Halves the longest side until all sides are short, then passes the triangles to emit, each with
// the orientation of (a, b, c).
function subdivide(a, b, c, emit, depth = 0) {
  const [ab, bc, ca] = [squared(a, b), squared(b, c), squared(c, a)];
  const longest = Math.max(ab, bc, ca);
  if (longest <= LONGEST_SQUARED || depth === DEEPEST) return emit(a, b, c);
  const halves = (p, q, r) => {
    const m = halfway(p, q);
    subdivide(p, m, r, emit, depth + 1);
    subdivide(m, q, r, emit, depth + 1);
  };
  if (longest === ab) halves(a, b, c);
  else if (longest === bc) halves(b, c, a);
  else halves(c, a, b);
}

function subdivideSide(a, b, emit, depth = 0) {
  if (squared(a, b) <= LONGEST_SQUARED || depth === DEEPEST) return emit(a, b);
  const m = halfway(a, b);
  subdivideSide(a, m, emit, depth + 1);
  subdivideSide(m, b, emit, depth + 1);
}

class SphereMesh extends Mesh {
  static LIFT = 1.028; // radius of the selected cell

  constructor(cells) {
    const [K, V] = [cells.counts.length, cells.vertices.length / 3];
    const points = new Float32Array(3 * (K + V));
    for (let i = 0; i < V; i++) {
      const [x, y, z] = [cells.vertices[3 * i], cells.vertices[3 * i + 1], cells.vertices[3 * i + 2]];
      const length = Math.sqrt(x * x + y * y + z * z) || 1;
      points[3 * (K + i)] = x / length;
      points[3 * (K + i) + 1] = y / length;
      points[3 * (K + i) + 2] = z / length;
    }
    super(cells, points);
  }

  chunkCount() {
    this.grid = Math.max(1, Math.round(Math.sqrt(this.size / IN_A_CHUNK / 6)));
    return 6 * this.grid ** 2;
  }

  // The mean of a cell's corners, or the site of a cell so large that its corners may surround the
  // sphere.
  middle(k) {
    const site = [this.sites[3 * k], this.sites[3 * k + 1], this.sites[3 * k + 2]];
    const sum = [0, 0, 0];
    for (let j = 0; j < this.counts[k]; j++) {
      const corner = this.corner(k, j);
      if (dot(corner, site) < 0.7) return site;
      for (let i = 0; i < 3; i++) sum[i] += corner[i];
    }
    return unit(sum);
  }

  // A chunk is a square on one of the six faces of a cube around the sphere.
  chunkOf(k) {
    const p = this.center(k);
    const size = p.map(Math.abs);
    const axis = size[0] >= size[1] && size[0] >= size[2] ? 0 : size[1] >= size[2] ? 1 : 2;
    const along = (i) => Math.min(this.grid - 1, Math.floor(((p[(axis + i) % 3] / size[axis] + 1) / 2) * this.grid));
    return ((2 * axis + (p[axis] < 0 ? 1 : 0)) * this.grid + along(1)) * this.grid + along(2);
  }

  // Sets the cone (axis and half angle) that contains all cells of the chunk.
  bound(chunk) {
    const sum = [0, 0, 0];
    for (const k of chunk.cells) for (let i = 0; i < 3; i++) sum[i] += this.points[3 * k + i];
    chunk.axis = unit(sum);
    let least = 1;
    for (const k of chunk.cells) {
      for (let j = 0; j < this.counts[k]; j++) least = Math.min(least, dot(this.corner(k, j), chunk.axis));
    }
    chunk.angle = Math.acos(clamp(least, -1, 1));
  }

  within(axis, angle) {
    return this.chunks.filter((chunk) => Math.acos(clamp(dot(chunk.axis, axis), -1, 1)) <= angle + chunk.angle);
  }

  visible(camera, aspect) {
    return this.within(camera.axes().toward, camera.cap(aspect));
  }

  turns(center, u, v) {
    return dot(center, cross(u, v));
  }

  divided(u, v, center, emit) {
    subdivide(u, v, center, emit);
  }

  dividedSide(u, v, emit) {
    subdivideSide(u, v, emit);
  }

  lifted(v, up) {
    const radius = up ? SphereMesh.LIFT : 1;
    return [v[0] * radius, v[1] * radius, v[2] * radius];
  }

  fan(k, indices, emit) {
    const [P, K, n, start] = [this.points, this.size, this.counts[k], this.first[k]];
    const far = (i, j) => (P[i] - P[j]) ** 2 + (P[i + 1] - P[j + 1]) ** 2 + (P[i + 2] - P[j + 2]) ** 2 > LONGEST_SQUARED;
    for (let j = 0; j < n; j++) {
      let [a, b] = [K + this.corners[start + j], K + this.corners[start + ((j + 1) % n)]];
      const [c, u, v] = [3 * k, 3 * a, 3 * b];
      const across = P[c] * (P[u + 1] * P[v + 2] - P[u + 2] * P[v + 1]) + P[c + 1] * (P[u + 2] * P[v] - P[u] * P[v + 2]) + P[c + 2] * (P[u] * P[v + 1] - P[u + 1] * P[v]);
      if (across < 0) [a, b] = [b, a];
      if (!far(c, u) && !far(c, v) && !far(u, v)) indices.add(a, b, k);
      else subdivide([...this.point(a), 0], [...this.point(b), 0], [...this.point(k), 1], emit);
    }
  }

  // The cell that contains a point of the sphere, which is the one with the nearest site.
  at(point) {
    const P = this.sites;
    let [best, nearest] = [-2, null];
    for (let k = 0, i = 0; k < this.size; k++, i += 3) {
      const cosine = P[i] * point[0] + P[i + 1] * point[1] + P[i + 2] * point[2];
      if (cosine > best) [best, nearest] = [cosine, k];
    }
    return nearest;
  }

  // The mean angle from a cell's centre to its corners.
  radius(k) {
    let sum = 0;
    for (let j = 0; j < this.counts[k]; j++) sum += Math.acos(clamp(dot(this.corner(k, j), this.center(k)), -1, 1));
    return sum / this.counts[k];
  }
}
