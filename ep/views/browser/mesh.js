// From spherical Voronoi cells to triangles. A vertex is x, y, z and e, where e is 1 at its cell's centre and 0 on its
// border: the fragment shader draws the edges from e alone, so there are no line primitives.

const LONGEST_SQUARED = 0.02; // longer sides are halved, so that large cells follow the sphere
const DEEPEST = 10;
const WALL = -1; // e of the side walls of the raised cell

const squared = (a, b) => (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2 + (a[2] - b[2]) ** 2;
const middle = (a, b) => [...unit([a[0] + b[0], a[1] + b[1], a[2] + b[2]]), (a[3] + b[3]) / 2];

// Halves the longest side until all are short, then hands on the triangle; c stays last of its triangles' vertices.
function subdivide(a, b, c, emit, depth = 0) {
  const [ab, bc, ca] = [squared(a, b), squared(b, c), squared(c, a)];
  const longest = Math.max(ab, bc, ca);
  if (longest <= LONGEST_SQUARED || depth === DEEPEST) return emit(a, b, c);
  const halves = (p, q, r) => {
    const m = middle(p, q);
    subdivide(p, m, r, emit, depth + 1);
    subdivide(m, q, r, emit, depth + 1);
  };
  if (longest === ab) halves(a, b, c);
  else if (longest === bc) halves(b, c, a);
  else halves(c, a, b);
}

function subdivideSide(a, b, emit, depth = 0) {
  if (squared(a, b) <= LONGEST_SQUARED || depth === DEEPEST) return emit(a, b);
  const m = middle(a, b);
  subdivideSide(a, m, emit, depth + 1);
  subdivideSide(m, b, emit, depth + 1);
}

// cells: centers (K,3), vertices (V,3), corners (indices into vertices, cell after cell), counts (corners per cell).
class Mesh {
  constructor(cells) {
    this.size = cells.counts.length;
    this.centers = cells.centers;
    this.counts = cells.counts;
    this.corners = cells.corners;
    this.vertices = [];
    for (let i = 0; i < cells.vertices.length; i += 3) {
      this.vertices.push([...unit([cells.vertices[i], cells.vertices[i + 1], cells.vertices[i + 2]]), 0]);
    }
    this.first = new Uint32Array(this.size);
    for (let k = 1; k < this.size; k++) this.first[k] = this.first[k - 1] + this.counts[k - 1];
  }

  center(k) {
    return [this.centers[3 * k], this.centers[3 * k + 1], this.centers[3 * k + 2]];
  }

  // The sides of cell k as pairs of corners, counter-clockwise seen from outside.
  sides(k) {
    const [center, n, start] = [this.center(k), this.counts[k], this.first[k]];
    const sides = [];
    for (let j = 0; j < n; j++) {
      const a = this.corners[start + j];
      const b = this.corners[start + ((j + 1) % n)];
      const outward = dot(center, cross(this.vertices[a], this.vertices[b])) >= 0;
      sides.push(outward ? [a, b] : [b, a]);
    }
    return sides;
  }

  // The cell whose centre is nearest to a point of the sphere: exactly the cell that holds it.
  at(point) {
    let [best, found] = [-2, -1];
    for (let k = 0, i = 0; k < this.size; k++, i += 3) {
      const cosine = this.centers[i] * point[0] + this.centers[i + 1] * point[1] + this.centers[i + 2] * point[2];
      if (cosine > best) [best, found] = [cosine, k];
    }
    return found;
  }

  // All cells as {positions, regions, indices}. The last vertex of a triangle gives its flat region id.
  triangles() {
    const [K, shared] = [this.size, this.size + this.vertices.length];
    const [extra, owner, indices] = [[], [], []];
    const add = (v, k) => {
      extra.push(v[0], v[1], v[2], v[3]);
      owner.push(k);
      return shared + owner.length - 1;
    };
    for (let k = 0; k < K; k++) {
      const center = [...this.center(k), 1];
      for (const [a, b] of this.sides(k)) {
        const [u, v] = [this.vertices[a], this.vertices[b]];
        const short = Math.max(squared(center, u), squared(center, v), squared(u, v)) <= LONGEST_SQUARED;
        if (short) indices.push(K + a, K + b, k);
        else subdivide(u, v, center, (p, q, r) => indices.push(add(p, k), add(q, k), add(r, k)));
      }
    }
    const positions = new Float32Array(4 * shared + extra.length);
    for (let k = 0; k < K; k++) positions.set([...this.center(k), 1], 4 * k);
    this.vertices.forEach((v, i) => positions.set(v, 4 * (K + i)));
    positions.set(extra, 4 * shared);
    const regions = new Uint32Array(shared + owner.length);
    for (let k = 0; k < K; k++) regions[k] = k;
    regions.set(owner, shared);
    return { positions, regions, indices: new Uint32Array(indices) };
  }

  // Cell k alone, raised above the others on side walls, and the mean angle from its centre to its corners.
  raised(k, height) {
    const [positions, indices, angles] = [[], [], []];
    const center = [...this.center(k), 1];
    const add = (v, radius, e) => positions.push(v[0] * radius, v[1] * radius, v[2] * radius, e) / 4 - 1;
    const top = (v) => add(v, height, v[3]);
    const wall = (u, v) => {
      const [low, lowNext] = [add(u, 1, WALL), add(v, 1, WALL)];
      const [high, highNext] = [add(u, height, WALL), add(v, height, WALL)];
      indices.push(low, lowNext, highNext, low, highNext, high);
    };
    for (const [a, b] of this.sides(k)) {
      const [u, v] = [this.vertices[a], this.vertices[b]];
      angles.push(Math.acos(clamp(dot(u, center), -1, 1)));
      subdivide(u, v, center, (p, q, r) => indices.push(top(p), top(q), top(r)));
      subdivideSide(u, v, wall);
    }
    const regions = new Uint32Array(positions.length / 4).fill(k);
    const mesh = { positions: new Float32Array(positions), regions, indices: new Uint32Array(indices) };
    return { ...mesh, radius: angles.reduce((sum, angle) => sum + angle, 0) / angles.length };
  }
}
