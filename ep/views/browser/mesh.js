// Triangles of Voronoi cells, on the sphere or in the plane. A vertex is x, y, z and e, where e is
// 1 at its cell's centre and 0 on its border: the fragment shader draws the edges from e alone, so
// there are no line primitives. Cells are grouped in chunks by position, so that those out of sight
// are neither drawn nor considered for names.

const WALL = -1; // e of the side walls of the raised cell
const IN_A_CHUNK = 256;

// A growing typed array of triples. Plain arrays of millions of numbers are slow to convert.
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

// Base class of both maps.
// cells: centers, vertices, corners (indices into vertices, cell after cell, counter-clockwise),
// counts (corners per cell) and ranking (all cells, the highest-ranked first).
// points: each cell's middle, then the vertices. Cells are drawn as fans around the middle, which
// gives edges of even width. The site, which picking uses, may lie too close to the border for
// that.
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

  // Sorts the cells into chunks of nearby cells, the highest-ranked first in each (a counting
  // sort).
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

  // All cells as {positions, regions, indices}, chunk after chunk. The last vertex of a triangle
  // determines its region id, which is not interpolated.
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

  // The visible chunks as [start, length] of indices; chunks that are adjacent there are joined.
  runs(camera, aspect) {
    const runs = [];
    for (const { start, length } of this.visible(camera, aspect)) {
      const last = runs[runs.length - 1];
      if (last && last[0] + last[1] === start) last[1] += length;
      else runs.push([start, length]);
    }
    return runs;
  }

  // About `most` of the highest-ranked visible cells, from which names are chosen.
  candidates(camera, aspect, most) {
    const visible = this.visible(camera, aspect);
    const each = Math.max(4, Math.ceil((2 * most) / Math.max(1, visible.length)));
    const cells = visible.flatMap((chunk) => [...chunk.cells.subarray(0, each)]);
    return cells.sort((a, b) => this.rank[a] - this.rank[b]);
  }

  // The triangles of cell k alone, raised above the other cells, with side walls.
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

  // Passes the sides of cell k to emit, counter-clockwise, as pairs of border points with e = 0.
  sides(k, emit) {
    const n = this.counts[k];
    for (let j = 0; j < n; j++) {
      const [u, v] = [this.corner(k, j), this.corner(k, (j + 1) % n)];
      const outward = this.turns(this.center(k), u, v) >= 0;
      if (outward) emit([...u, 0], [...v, 0]);
      else emit([...v, 0], [...u, 0]);
    }
  }

  // The points of the border of cell k in order, with long sides divided.
  border(k) {
    const [points, n] = [[], this.counts[k]];
    for (let j = 0; j < n; j++) {
      this.dividedSide([...this.corner(k, j), 0], [...this.corner(k, (j + 1) % n), 0], (u) => points.push(u));
    }
    return points;
  }
}
