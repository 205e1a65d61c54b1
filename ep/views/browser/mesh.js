// From Voronoi cells to triangles, on the sphere or in the plane. A vertex is x, y, z and e, where e is 1 at its cell's
// centre and 0 on its border: the fragment shader draws the edges from e alone, so there are no line primitives.
// Cells lie in chunks, so that what is out of sight is neither drawn nor searched for names.

const LONGEST_SQUARED = 0.02; // longer sides are halved, so that large cells follow the sphere
const DEEPEST = 12;
const WALL = -1; // e of the side walls of the raised cell
const IN_A_CHUNK = 256;

const squared = (a, b) => (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2 + (a[2] - b[2]) ** 2;
const halfway = (a, b) => [...unit([a[0] + b[0], a[1] + b[1], a[2] + b[2]]), (a[3] + b[3]) / 2];

// Halves the longest side until all are short, then hands on the triangle; c stays last of its triangles' vertices.
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

// An array of numbers that grows: plain arrays of millions are slow to turn into typed ones.
class Growing {
  constructor(Type, room) {
    this.array = new Type(room);
    this.length = 0;
  }

  add(a, b, c) {
    if (this.length + 3 > this.array.length) {
      const larger = new this.array.constructor(2 * this.array.length + 3);
      larger.set(this.array);
      this.array = larger;
    }
    this.array[this.length++] = a;
    this.array[this.length++] = b;
    this.array[this.length++] = c;
  }
}

// What both maps share. cells: centers, vertices, corners (indices into vertices, cell after cell, counter-clockwise),
// counts (corners per cell), ranking (all cells, the weightiest first). points holds each cell's middle, then the
// vertices: a fan around the middle has even edges where the cell's site, which picking uses, lies close to its border.
class Mesh {
  constructor(cells, points) {
    this.size = cells.counts.length;
    Object.assign(this, { sites: cells.centers, counts: cells.counts, corners: cells.corners, points });
    this.first = new Uint32Array(this.size);
    for (let k = 1; k < this.size; k++) this.first[k] = this.first[k - 1] + this.counts[k - 1];
    for (let k = 0; k < this.size; k++) this.points.set(this.middle(k), 3 * k);
    this.divide(cells.ranking);
  }

  point(i) {
    return [this.points[3 * i], this.points[3 * i + 1], this.points[3 * i + 2]];
  }

  center(k) {
    return this.point(k);
  }

  corner(k, j) {
    return this.point(this.size + this.corners[this.first[k] + j]);
  }

  // Sorts cells into chunks that lie together, the weightiest first in each.
  divide(ranking) {
    const n = this.chunkCount();
    const [chunkOf, sizes] = [new Uint16Array(this.size), new Uint32Array(n + 1)];
    for (let k = 0; k < this.size; k++) sizes[(chunkOf[k] = this.chunkOf(k)) + 1]++;
    for (let c = 0; c < n; c++) sizes[c + 1] += sizes[c];
    const [next, order] = [sizes.slice(), new Uint32Array(this.size)];
    this.rank = new Uint32Array(this.size);
    ranking.forEach((k, rank) => {
      order[next[chunkOf[k]]++] = k;
      this.rank[k] = rank;
    });
    this.chunks = [];
    for (let c = 0; c < n; c++) {
      if (sizes[c] < sizes[c + 1]) this.chunks.push({ cells: order.subarray(sizes[c], sizes[c + 1]) });
    }
    for (const chunk of this.chunks) this.bound(chunk);
  }

  // All cells as {positions, regions, indices}, chunk after chunk. A triangle's last vertex gives its flat region id.
  triangles() {
    const shared = this.points.length / 3;
    const indices = new Growing(Uint32Array, 3 * this.corners.length);
    const [extra, owner] = [[], []];
    const add = (v, k) => {
      extra.push(v[0], v[1], v[2], v[3]);
      owner.push(k);
      return shared + owner.length - 1;
    };
    for (const chunk of this.chunks) {
      chunk.start = indices.length;
      for (const k of chunk.cells) this.fan(k, indices, (p, q, r) => indices.add(add(p, k), add(q, k), add(r, k)));
      chunk.length = indices.length - chunk.start;
    }
    const positions = new Float32Array(4 * shared + extra.length);
    const regions = new Uint32Array(shared + owner.length);
    for (let i = 0; i < shared; i++) {
      for (let j = 0; j < 3; j++) positions[4 * i + j] = this.points[3 * i + j];
      if (i < this.size) [positions[4 * i + 3], regions[i]] = [1, i];
    }
    positions.set(extra, 4 * shared);
    regions.set(owner, shared);
    return { positions, regions, indices: indices.array.slice(0, indices.length) };
  }

  // The chunks in sight, neighbours in the index buffer joined, as [start, length] of indices.
  runs(camera, aspect) {
    const runs = [];
    for (const { start, length } of this.visible(camera, aspect)) {
      const last = runs[runs.length - 1];
      if (last && last[0] + last[1] === start) last[1] += length;
      else runs.push([start, length]);
    }
    return runs;
  }

  // The weightiest cells in sight, about `most` of them: names are chosen among these.
  candidates(camera, aspect, most) {
    const visible = this.visible(camera, aspect);
    const each = Math.max(4, Math.ceil((2 * most) / Math.max(1, visible.length)));
    const found = visible.flatMap((chunk) => [...chunk.cells.subarray(0, each)]);
    return found.sort((a, b) => this.rank[a] - this.rank[b]);
  }

  // Cell k alone, raised above the others on side walls.
  raised(k) {
    const [positions, indices] = [[], []];
    const center = [...this.center(k), 1];
    const add = (v, up, e) => positions.push(...this.lifted(v, up), e) / 4 - 1;
    const top = (v) => add(v, true, v[3]);
    const wall = (u, v) => {
      const [low, lowNext] = [add(u, false, WALL), add(v, false, WALL)];
      const [high, highNext] = [add(u, true, WALL), add(v, true, WALL)];
      indices.push(low, lowNext, highNext, low, highNext, high);
    };
    this.sides(k, (u, v) => {
      this.divided(u, v, center, (p, q, r) => indices.push(top(p), top(q), top(r)));
      this.dividedSide(u, v, wall);
    });
    const regions = new Uint32Array(positions.length / 4).fill(k);
    return { positions: new Float32Array(positions), regions, indices: new Uint32Array(indices) };
  }

  // Hands on the sides of cell k, counter-clockwise, as pairs of border points with e = 0.
  sides(k, emit) {
    const n = this.counts[k];
    for (let j = 0; j < n; j++) {
      const [u, v] = [this.corner(k, j), this.corner(k, (j + 1) % n)];
      const outward = this.turns(this.center(k), u, v) >= 0;
      if (outward) emit([...u, 0], [...v, 0]);
      else emit([...v, 0], [...u, 0]);
    }
  }

  // The border of cell k as points in order, long sides divided.
  border(k) {
    const [points, n] = [[], this.counts[k]];
    for (let j = 0; j < n; j++) {
      this.dividedSide([...this.corner(k, j), 0], [...this.corner(k, (j + 1) % n), 0], (u) => points.push(u));
    }
    return points;
  }
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

  // The mean of a cell's corners; of a cell so large that its corners may surround the sphere, its site.
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

  // Squares on the six faces of a cube around the sphere.
  chunkOf(k) {
    const p = this.center(k);
    const size = p.map(Math.abs);
    const axis = size[0] >= size[1] && size[0] >= size[2] ? 0 : size[1] >= size[2] ? 1 : 2;
    const along = (i) => Math.min(this.grid - 1, Math.floor(((p[(axis + i) % 3] / size[axis] + 1) / 2) * this.grid));
    return ((2 * axis + (p[axis] < 0 ? 1 : 0)) * this.grid + along(1)) * this.grid + along(2);
  }

  // A cone around everything the chunk's cells cover.
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

  // The cell whose site is nearest to a point of the sphere: exactly the cell that holds it.
  at(point) {
    const P = this.sites;
    let [best, found] = [-2, null];
    for (let k = 0, i = 0; k < this.size; k++, i += 3) {
      const cosine = P[i] * point[0] + P[i + 1] * point[1] + P[i + 2] * point[2];
      if (cosine > best) [best, found] = [cosine, k];
    }
    return found;
  }

  // The mean angle from a cell's centre to its corners.
  radius(k) {
    let sum = 0;
    for (let j = 0; j < this.counts[k]; j++) sum += Math.acos(clamp(dot(this.corner(k, j), this.center(k)), -1, 1));
    return sum / this.counts[k];
  }
}

class FlatMesh extends Mesh {
  constructor(cells) {
    const [K, V] = [cells.counts.length, cells.vertices.length / 2];
    const points = new Float32Array(3 * (K + V));
    for (let i = 0; i < V; i++) [points[3 * (K + i)], points[3 * (K + i) + 1]] = [cells.vertices[2 * i], cells.vertices[2 * i + 1]];
    super(cells, points);
    this.outline = cells.outline;
    this.extent = [0, 1].map((axis) => Math.max(...cells.outline.filter((_, i) => i % 2 === axis).map(Math.abs)));
  }

  middle(k) {
    const [sum, n] = [[0, 0, 0], this.counts[k]];
    for (let j = 0; j < n; j++) this.corner(k, j).forEach((value, i) => (sum[i] += value / n));
    return sum;
  }

  chunkCount() {
    this.grid = Math.max(1, Math.round(Math.sqrt(this.size / IN_A_CHUNK)));
    return this.grid ** 2;
  }

  chunkOf(k) {
    const along = (i) => clamp(Math.floor(((this.points[3 * k + i] + 1) / 2) * this.grid), 0, this.grid - 1);
    return along(0) * this.grid + along(1);
  }

  bound(chunk) {
    chunk.box = [Infinity, Infinity, -Infinity, -Infinity];
    for (const k of chunk.cells) {
      for (let j = 0; j < this.counts[k]; j++) {
        const [x, y] = this.corner(k, j);
        chunk.box = [Math.min(chunk.box[0], x), Math.min(chunk.box[1], y), Math.max(chunk.box[2], x), Math.max(chunk.box[3], y)];
      }
    }
  }

  visible(camera, aspect) {
    const [low, high] = [camera.hit(-1, -1, aspect), camera.hit(1, 1, aspect)];
    return this.chunks.filter(({ box }) => box[0] <= high[0] && box[2] >= low[0] && box[1] <= high[1] && box[3] >= low[1]);
  }

  turns() {
    return 1;
  }

  divided(u, v, center, emit) {
    emit(u, v, center);
  }

  dividedSide(u, v, emit) {
    emit(u, v);
  }

  lifted(v, up) {
    return [v[0], v[1], up ? 1 : 0];
  }

  fan(k, indices) {
    const [n, start] = [this.counts[k], this.first[k]];
    for (let j = 0; j < n; j++) indices.add(this.size + this.corners[start + j], this.size + this.corners[start + ((j + 1) % n)], k);
  }

  // The cell whose site is nearest, or null outside the outline.
  at([x, y]) {
    const hull = this.outline;
    for (let i = 0; i < hull.length; i += 2) {
      const j = (i + 2) % hull.length;
      if ((hull[j] - hull[i]) * (y - hull[i + 1]) - (hull[j + 1] - hull[i + 1]) * (x - hull[i]) < 0) return null;
    }
    const P = this.sites;
    let [best, found] = [Infinity, null];
    for (let k = 0, i = 0; k < this.size; k++, i += 2) {
      const away = (P[i] - x) ** 2 + (P[i + 1] - y) ** 2;
      if (away < best) [best, found] = [away, k];
    }
    return found;
  }

  radius(k) {
    let sum = 0;
    for (let j = 0; j < this.counts[k]; j++) sum += Math.sqrt(squared(this.corner(k, j), this.center(k)));
    return sum / this.counts[k];
  }
}
