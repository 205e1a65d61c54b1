// Drawing of many cells while the map moves. Their ids are drawn once into a texture (the six faces
// of a cube around the sphere, or the box of the plane). A frame during movement looks up every
// pixel there, so its cost does not depend on the number of cells.

const MANY = 6000; // up to this many cells are always drawn as triangles
const SIDE = { sphere: 1024, flat: 2048 }; // texels on a side of the texture
const BLURRED = 1.8; // screen pixels per texel above which the cells are drawn as triangles

class Coarse {
  layer = 0;

  constructor(gl, kind) {
    Object.assign(this, { gl, kind, side: SIDE[kind], layers: kind === "sphere" ? 6 : 1 });
    this.texture = gl.createTexture();
    gl.bindTexture(gl.TEXTURE_2D_ARRAY, this.texture);
    gl.texStorage3D(gl.TEXTURE_2D_ARRAY, 1, gl.R32UI, this.side, this.side, this.layers);
    for (const filter of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D_ARRAY, filter, gl.NEAREST);
    this.frame = gl.createFramebuffer();
  }

  get ready() {
    return this.layer === this.layers;
  }

  // Draws the next layer. The caller lets the browser do other work before the next one.
  draw({ p, uniforms }, mesh, all) {
    const { gl, layer } = this;
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.frame);
    gl.framebufferTextureLayer(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, this.texture, 0, layer);
    gl.viewport(0, 0, this.side, this.side);
    gl.disable(gl.BLEND);
    gl.disable(gl.DEPTH_TEST);
    gl.disable(gl.CULL_FACE);
    gl.clearBufferuiv(gl.COLOR, 0, [0, 0, 0, 0]);
    gl.useProgram(p);
    gl.bindVertexArray(all.array);
    gl.uniformMatrix4fv(uniforms.view, false, this.kind === "sphere" ? this.face(layer) : this.plane(mesh));
    for (const { start, length } of this.chunks(mesh)) gl.drawElements(gl.TRIANGLES, length, gl.UNSIGNED_INT, 4 * start);
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    this.layer++;
  }

  chunks(mesh) {
    if (this.kind === "flat") return mesh.chunks;
    const axis = [0, 0, 0];
    axis[this.layer >> 1] = this.layer % 2 ? -1 : 1;
    return mesh.within(axis, Math.acos(1 / Math.sqrt(3)));
  }

  // Column-major matrix of a view from the sphere's centre along one axis.
  face(layer) {
    const [axis, sign, view] = [layer >> 1, layer % 2 ? -1 : 1, new Float32Array(16)];
    view[4 * ((axis + 1) % 3)] = 1;
    view[4 * ((axis + 2) % 3) + 1] = 1;
    view[4 * axis + 3] = sign;
    return view;
  }

  plane(mesh) {
    return new Float32Array([1 / mesh.extent[0], 0, 0, 0, 0, 1 / mesh.extent[1], 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
  }

  // Whether a texel covers no more than about one pixel of the screen.
  sharp(camera, mesh, aspect, height) {
    const texel = (2 * (this.kind === "sphere" ? 1 : Math.max(...mesh.extent))) / this.side;
    return texel * camera.density(aspect, height) <= BLURRED;
  }

  close() {
    this.gl.deleteTexture(this.texture);
    this.gl.deleteFramebuffer(this.frame);
  }
}
