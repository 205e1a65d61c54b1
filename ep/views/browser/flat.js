// Triangles of the cells in the plane, in chunks by position. Uses mesh.js.

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

  // The cell at a point, whose site is the nearest, or null outside the outline.
  at([x, y]) {
    const hull = this.outline;
    for (let i = 0; i < hull.length; i += 2) {
      const j = (i + 2) % hull.length;
      if ((hull[j] - hull[i]) * (y - hull[i + 1]) - (hull[j + 1] - hull[i + 1]) * (x - hull[i]) < 0) return null;
    }
    const P = this.sites;
    let [best, nearest] = [Infinity, null];
    for (let k = 0, i = 0; k < this.size; k++, i += 2) {
      const away = (P[i] - x) ** 2 + (P[i + 1] - y) ** 2;
      if (away < best) [best, nearest] = [away, k];
    }
    return nearest;
  }

  radius(k) {
    let sum = 0;
    for (let j = 0; j < this.counts[k]; j++) sum += Math.sqrt(squared(this.corner(k, j), this.center(k)));
    return sum / this.counts[k];
  }
}
