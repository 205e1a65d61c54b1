// Two programs: the cells, and the halo behind the sphere. Everything is tinted towards the page's colour, so the
// same code serves light and dark.

const CELL_VERTEX = `#version 300 es
layout(location = 0) in vec4 position; // xyz on the sphere; w: 1 at the cell's centre, 0 on its border, -1 on a wall
layout(location = 1) in uint region;
uniform mat4 view;
uniform sampler2D colors; // one texel per region, 256 to a row
flat out vec4 color; flat out uint id; out vec3 normal; out float e;
void main() {
  normal = position.xyz; e = position.w; id = region;
  int i = int(region);
  color = texelFetch(colors, ivec2(i & 255, i >> 8), 0);
  gl_Position = view * vec4(position.xyz, 1.);
}`;

const CELL_FRAGMENT = `#version 300 es
precision highp float;
flat in vec4 color; flat in uint id; in vec3 normal; in float e;
out vec4 pixel;
uniform vec3 eye, light, page, ink;
uniform uint selected, hovered;
uniform vec4 shadow;      // centre of the raised cell, and the cosine at which its shadow ends
uniform float dark;       // 1 on a dark page
uniform float raised;     // 1 while the selected cell is drawn, lifted
uniform float halfEdge;   // half the width of an edge, in pixels of the canvas
uniform float lit;        // strength of the light; lower when colour stands for a number

void main() {
  float isSelected = float(id == selected), isHovered = float(id == hovered);
  float strong = max(isSelected * raised, isHovered), wall = step(e, -.5);
  vec3 N = normalize(normal), V = normalize(eye - N), H = normalize(light + V);
  float width = max(fwidth(e), 1e-5), toBorder = e / width, cellPixels = 1. / width;

  vec3 c = color.rgb * mix(.955, 1.02, smoothstep(0., .8, e));                           // a cushion in every cell
  float d = .5 + .5 * dot(N, light);                                                     // half-Lambert light
  c *= mix(1., mix(mix(.80, .62, dark), 1.05, d * d * (3. - 2. * d)), lit);
  c += lit * (.10 - .03 * dark) * pow(max(dot(N, H), 0.), 28.);                          // soft sheen

  float limb = 1. - max(dot(N, V), 0.);                                                  // crowded rim fades to the page
  c = mix(c, page, smoothstep(.5, 1., limb) * mix(.62, .55, dark) * mix(.6, 1., lit));
  c += dark * .10 * vec3(.55, .65, 1.) * pow(limb, 3.);

  if (raised < .5) c *= 1. - .34 * smoothstep(shadow.w, mix(shadow.w, 1., .75), dot(N, shadow.xyz));
  c = mix(c, mix(vec3(1.), c, .72), isHovered * .8 * (1. - isSelected));

  float unit = halfEdge / .55;
  if (isSelected * raised > .5) {                                                        // brighter, white inside the ink
    c = mix(c, vec3(1.), .14);
    c = mix(vec3(1.), c, max(wall, smoothstep(2.5 * unit, 3.3 * unit, toBorder) * .9 + .1));
  }
  float line = mix(halfEdge, mix(1.2, 1.7, isSelected) * unit, strong);
  float edge = (1. - smoothstep(line - .6, line + .6, toBorder)) * (1. - wall);
  float seen = smoothstep(2., 8., cellPixels) * (1. - .6 * smoothstep(.6, 1., limb));    // tiny cells lose their edges
  c = mix(c, mix(page, ink, strong), edge * mix(.80 * seen, 1., strong));
  c = mix(c, color.rgb * .58, wall * raised);
  pixel = vec4(c, 1.);
}`;

const HALO_VERTEX = `#version 300 es
out vec2 place;
void main() {
  place = vec2((gl_VertexID << 1) & 2, gl_VertexID & 2) * 2. - 1.;
  gl_Position = vec4(place, .9999, 1.);
}`;

const HALO_FRAGMENT = `#version 300 es
precision highp float;
in vec2 place;
out vec4 pixel;
uniform float disc, aspect, dark;
uniform vec3 tint;
void main() {
  vec2 p = vec2(place.x * aspect, place.y + (1. - dark) * .035 * disc); // by day a shadow, a little lower
  float t = length(p) / disc;
  float a = mix(.22, .30, dark) * exp(-max(t - .97, 0.) * mix(16., 11., dark)) * (1. - smoothstep(1., 1.075, t));
  pixel = vec4(tint * a, a);
}`;

function program(gl, vertex, fragment) {
  const p = gl.createProgram();
  for (const [type, source] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) {
    const shader = gl.createShader(type);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(p, shader);
  }
  gl.linkProgram(p);
  if (!gl.getProgramParameter(p, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(p) || "shaders did not link");
  const uniforms = {};
  for (let i = 0; i < gl.getProgramParameter(p, gl.ACTIVE_UNIFORMS); i++) {
    const { name } = gl.getActiveUniform(p, i);
    uniforms[name] = gl.getUniformLocation(p, name);
  }
  return { p, uniforms };
}
