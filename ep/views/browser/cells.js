// The methods of View that draw the cells with WebGL: their triangles, colours and shading, the
// raised cell, and the ids of many cells while the map moves.

const RISE = 7; // how far the selected cell of a flat map is raised, in pixels
const GUTTER = 30; // pixels beside a flat map on either side
const FAILED = "This browser cannot draw the map: WebGL 2 is missing or switched off. The table holds every region and works without it.";

Object.assign(View.prototype, {
  start() {
    const gl = (this.gl = this.canvas.getContext("webgl2", { antialias: true, premultipliedAlpha: true }));
    this.programs = {};
    if (!gl) this.fail("no WebGL 2");
  },

  fail(message) {
    console.warn("The map cannot be drawn:", message);
    this.gl = null;
    const failed = this.find(".failed");
    failed.hidden = false;
    failed.textContent = FAILED;
    this.find(".tools").hidden = true;
  },

  build() {
    try {
      this.programs[this.kind] ??= programs(this.gl, this.kind === "flat");
    } catch (error) {
      return this.fail(error.message);
    }
    this.all = this.upload(this.mesh.triangles(), this.all);
    this.coarse?.close();
    this.coarse = this.mesh.size > MANY ? new Coarse(this.gl, this.kind) : null;
    return undefined;
  },

  upload({ positions, regions, indices }, old) {
    const gl = this.gl;
    if (old) {
      gl.deleteVertexArray(old.array);
      old.buffers.forEach((buffer) => gl.deleteBuffer(buffer));
    }
    const array = gl.createVertexArray();
    gl.bindVertexArray(array);
    const buffers = [[gl.ARRAY_BUFFER, positions], [gl.ARRAY_BUFFER, regions], [gl.ELEMENT_ARRAY_BUFFER, indices]].map(([target, data], i) => {
      const buffer = gl.createBuffer();
      gl.bindBuffer(target, buffer);
      gl.bufferData(target, data, gl.STATIC_DRAW);
      if (i < 2) gl.enableVertexAttribArray(i);
      if (i === 0) gl.vertexAttribPointer(0, 4, gl.FLOAT, false, 0, 0);
      if (i === 1) gl.vertexAttribIPointer(1, 1, gl.UNSIGNED_INT, 0, 0);
      return buffer;
    });
    return { array, buffers, count: indices.length };
  },

  // Colours are in a texture with one texel per region, so that a change of colouring, theme or
  // brush does not affect the geometry.
  paint(dark) {
    const colors = (dark && this.colorBlob.dark) || this.colorBlob.light;
    if (this.colors === colors) return;
    this.colors = colors;
    const gl = this.gl;
    const rows = Math.ceil(this.mesh.size / 256);
    const texels = new Uint8Array(1024 * rows);
    for (let k = 0; k < this.mesh.size; k++) {
      texels[4 * k] = colors[3 * k];
      texels[4 * k + 1] = colors[3 * k + 1];
      texels[4 * k + 2] = colors[3 * k + 2];
      texels[4 * k + 3] = !this.bright || this.bright.has(k) ? 255 : 0;
    }
    this.texture ??= gl.createTexture();
    gl.bindTexture(gl.TEXTURE_2D, this.texture);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, 256, rows, 0, gl.RGBA, gl.UNSIGNED_BYTE, texels);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
  },

  drawCells(scale) {
    const { gl, camera } = this;
    const [width, height] = [this.canvas.clientWidth, this.canvas.clientHeight];
    const [w, h] = [Math.round(width * scale), Math.round(height * scale)];
    if (this.canvas.width !== w || this.canvas.height !== h) [this.canvas.width, this.canvas.height] = [w, h];
    const theme = this.theme();
    this.paint(theme.dark);
    if (this.ramp) this.find(".ramp i").style.background = gradient(theme.dark ? this.ramp.dark : this.ramp.light);
    [camera.rise, camera.gutter] = [(2 * RISE) / height, Math.min(0.2, (2 * GUTTER) / width)];
    gl.viewport(0, 0, w, h);
    gl.clearColor(0, 0, 0, 0);
    gl.depthMask(true);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    if (this.kind === "sphere") this.drawHalo(w / h, theme.dark);
    const coarse = this.moving && this.coarse?.ready && this.coarse.sharp(camera, this.mesh, w / h, height);
    if (coarse) this.drawIds(theme, w / h, h);
    else this.drawMesh(theme, w / h, scale);
    this.drawRaised(theme, w / h, scale);
  },

  drawHalo(aspect, dark) {
    const { gl } = this;
    const { p, uniforms: u } = this.programs[this.kind].halo;
    gl.disable(gl.DEPTH_TEST);
    gl.disable(gl.CULL_FACE);
    gl.useProgram(p);
    gl.uniform1f(u.disc, this.camera.disc(aspect));
    gl.uniform1f(u.aspect, aspect);
    gl.uniform1f(u.dark, dark);
    gl.uniform3fv(u.tint, dark ? [0.3, 0.38, 0.72] : [0.36, 0.42, 0.56]);
    gl.bindVertexArray(this.all.array);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  },

  // Sets the uniforms of the shading, which both ways of drawing the cells need.
  setShading({ p, uniforms: u }, theme, raised) {
    const { gl } = this;
    const { right, up, toward, eye } = this.camera.axes();
    const light = unit([0, 1, 2].map((i) => LIGHT[0] * right[i] + LIGHT[1] * up[i] + LIGHT[2] * toward[i]));
    gl.useProgram(p);
    for (const [name, value] of Object.entries({ eye, light, right, up, toward, page: rgb(theme.page), ink: rgb(theme.ink) })) {
      if (u[name]) gl.uniform3fv(u[name], value);
    }
    for (const [name, value] of Object.entries({ dark: theme.dark, lit: this.ramp ? 0.45 : 1, raised })) gl.uniform1f(u[name], value);
    gl.uniform4fv(u.shadow, this.selected !== null ? this.shadow : this.kind === "flat" ? [99, 99, 0, 0.01] : [0, 0, 0, 2]);
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, this.texture);
    if (u.colors) gl.uniform1i(u.colors, 0);
    return u;
  },

  drawMesh(theme, aspect, scale) {
    const { gl } = this;
    gl.enable(gl.DEPTH_TEST);
    gl.enable(gl.CULL_FACE);
    const u = this.setShading(this.programs[this.kind].cells, theme, 0);
    gl.uniformMatrix4fv(u.view, false, this.camera.matrix(aspect));
    gl.uniform1ui(u.selected, this.selected ?? NONE);
    gl.uniform1f(u.halfEdge, 0.55 * scale);
    gl.bindVertexArray(this.all.array);
    for (const [start, length] of this.mesh.runs(this.camera, aspect)) gl.drawElements(gl.TRIANGLES, length, gl.UNSIGNED_INT, 4 * start);
  },

  drawIds(theme, aspect, height) {
    const { gl, camera, mesh } = this;
    gl.disable(gl.DEPTH_TEST);
    gl.disable(gl.CULL_FACE);
    const u = this.setShading(this.programs[this.kind].coarse, theme, 0);
    gl.activeTexture(gl.TEXTURE1);
    gl.bindTexture(gl.TEXTURE_2D_ARRAY, this.coarse.texture);
    gl.uniform1i(u.ids, 1);
    gl.activeTexture(gl.TEXTURE0);
    const cell = camera.density(aspect, height) * Math.sqrt((this.kind === "flat" ? 1 : Math.PI) / mesh.size); // half a cell, in pixels
    if (u.box) gl.uniform4fv(u.box, [...mesh.extent, camera.x, camera.y]);
    gl.uniform1f(u.aspect, aspect);
    gl.uniform1f(u.focal, camera.focal(aspect));
    gl.uniform1f(u.edges, 0.55 * clamp((1.5 * cell - 2) / 6, 0, 1));
    gl.bindVertexArray(this.all.array);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  },

  // Draws the selected cell, raised, on top of the other cells.
  drawRaised(theme, aspect, scale) {
    const { gl, camera, mesh } = this;
    if (this.selected === null || !this.top) return;
    const reach = this.kind === "sphere" ? mesh.radius(this.selected) : 0;
    if (this.kind === "sphere" && dot(mesh.center(this.selected), camera.axes().toward) < Math.cos(Math.acos(1 / camera.distance) + reach)) return;
    const isCoarse = this.coarse && this.moving; // drawing ids leaves no depth to test against
    if (isCoarse) gl.clear(gl.DEPTH_BUFFER_BIT);
    if (isCoarse && !camera.isVisible(mesh.center(this.selected))) return;
    gl.enable(gl.DEPTH_TEST);
    gl.disable(gl.CULL_FACE);
    const u = this.setShading(this.programs[this.kind].cells, theme, 1);
    gl.uniformMatrix4fv(u.view, false, camera.matrix(aspect));
    gl.uniform1ui(u.selected, this.selected);
    gl.uniform1f(u.halfEdge, 0.55 * scale);
    gl.bindVertexArray(this.top.array);
    gl.drawElements(gl.TRIANGLES, this.top.count, gl.UNSIGNED_INT, 0);
  },

  // Draws the ids of many cells while the map is still, one layer at a time, so that the next
  // movement is fast.
  prepare() {
    if (!this.coarse || this.coarse.ready || this.preparing) return;
    this.preparing = setTimeout(() => {
      this.preparing = undefined;
      if (!this.gl || !this.coarse || this.gl.isContextLost()) return;
      if (!this.moving) this.coarse.draw(this.programs[this.kind].ids, this.mesh, this.all);
      this.prepare();
    }, 60);
  },

  // Rebuilds everything on the graphics card from the blob, after the WebGL context was lost.
  restore() {
    for (const name of ["all", "top", "texture", "colors", "coarse"]) this[name] = undefined;
    this.start();
    if (!this.blob || !this.gl) return;
    this.build();
    this.select(this.selected);
  },
});
