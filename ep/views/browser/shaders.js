// The WebGL programs: cells as triangles; cells looked up by id in a texture, drawn with one
// triangle for any number of cells; and the halo behind the sphere. Colours fade to the page's
// colour, so the same code serves light and dark pages.

const CELL_VERTEX = `#version 300 es
layout(location = 0) in vec4 position; // xyz; w: 1 at the cell's centre, 0 on its border, -1 on a wall
layout(location = 1) in uint region;
uniform mat4 view;
uniform sampler2D colors; // one texel per region, 256 to a row; alpha 0 if it is outside the brush
flat out vec4 color; flat out uint id; out vec3 place; out float e;
void main() {
  place = position.xyz; e = position.w; id = region;
  int i = int(region);
  color = texelFetch(colors, ivec2(i & 255, i >> 8), 0);
  gl_Position = view * vec4(position.xyz, 1.);
}`;

// The shading that both ways of drawing share: light, limb, shadow of the raised cell, and brush.
const SHADE = `
precision highp float;
uniform vec3 eye, light, page, ink;
uniform vec4 shadow;      // centre of the raised cell, and where its shadow ends: a cosine, or on a plane a distance
uniform float dark;       // 1 on a dark page
uniform float raised;     // 1 while the selected cell is drawn, lifted
uniform float lit;        // strength of the light; lower when colour stands for a number
out vec4 pixel;

float limbAt(vec3 place) {
#ifdef FLAT
  return 0.;
#else
  return 1. - max(dot(normalize(place), normalize(eye - normalize(place))), 0.);
#endif
}

vec3 shade(vec4 color, vec3 place, float cushion) {
  vec3 c = color.rgb * mix(.955, 1.02, cushion);                                         // a cushion in every cell
#ifdef FLAT
  c *= mix(1., mix(.97, .86, dark), lit);
  if (raised < .5) c *= 1. - .30 * (1. - smoothstep(shadow.w * .72, shadow.w, distance(place.xy, shadow.xy)));
#else
  vec3 N = normalize(place), V = normalize(eye - N), H = normalize(light + V);
  float d = .5 + .5 * dot(N, light);                                                     // half-Lambert light
  c *= mix(1., mix(mix(.80, .62, dark), 1.05, d * d * (3. - 2. * d)), lit);
  c += lit * (.10 - .03 * dark) * pow(max(dot(N, H), 0.), 28.);                          // soft sheen
  float limb = limbAt(place);                                                            // crowded rim fades to the page
  c = mix(c, page, smoothstep(.5, 1., limb) * mix(.62, .55, dark) * mix(.6, 1., lit));
  c += dark * .10 * vec3(.55, .65, 1.) * pow(limb, 3.);
  if (raised < .5) c *= 1. - .34 * smoothstep(shadow.w, mix(shadow.w, 1., .75), dot(N, shadow.xyz));
#endif
  vec3 faint = mix(page, vec3(dot(c, vec3(.3, .59, .11))), .16 + .10 * dark);
  return mix(mix(faint, c, .10), c, color.a);
}`;

const CELL_FRAGMENT = `
flat in vec4 color; flat in uint id; in vec3 place; in float e;
uniform uint selected;
uniform float halfEdge;   // half the width of an edge, in pixels of the canvas

void main() {
  float strong = float(id == selected) * raised, wall = step(e, -.5);
  float width = max(fwidth(e), 1e-5), toBorder = e / width, cellPixels = 1. / width;
  vec3 c = shade(color, place, smoothstep(0., .8, e));
  float unit = halfEdge / .55;
  if (strong > .5) {                                                                     // brighter, white inside the ink
    c = mix(c, vec3(1.), .14);
    c = mix(vec3(1.), c, max(wall, smoothstep(2.5 * unit, 3.3 * unit, toBorder) * .9 + .1));
  }
  float line = mix(halfEdge, 1.7 * unit, strong);
  float edge = (1. - smoothstep(line - .6, line + .6, toBorder)) * (1. - wall);
  float seen = smoothstep(2., 8., cellPixels) * (1. - .6 * smoothstep(.6, 1., limbAt(place))); // tiny cells have no edges
  c = mix(c, mix(page, ink, strong), edge * mix(.80 * seen, 1., strong));
  c = mix(c, color.rgb * .58, wall * raised);
  pixel = vec4(c, 1.);
}`;

const ID_FRAGMENT = `#version 300 es
precision highp float;
flat in uint id;
out highp uint pixel;
void main() { pixel = id + 1u; }`;

const FULL_VERTEX = `#version 300 es
out vec2 corner;
void main() {
  corner = vec2((gl_VertexID << 1) & 2, gl_VertexID & 2) * 2. - 1.;
  gl_Position = vec4(corner, .9999, 1.);
}`;

const COARSE_FRAGMENT = `
precision highp usampler2DArray;
in vec2 corner;
uniform usampler2DArray ids; // region + 1: six faces of a cube around the sphere, or the plane's box
uniform sampler2D colors;
uniform vec3 right, up, toward;
uniform vec4 box;         // on a plane: its extent, and the viewer's position
uniform float aspect, focal, edges;

void main() {
  float N = float(textureSize(ids, 0).x);
#ifdef FLAT
  vec3 place = vec3(box.zw + vec2(corner.x * aspect, corner.y) / focal, 0.);
  vec2 at = place.xy / box.xy;
  if (max(abs(at.x), abs(at.y)) >= 1.) discard;
  int face = 0;
#else
  vec3 ray = normalize((corner.x * aspect * right + corner.y * up) / focal - toward);
  float along = dot(ray, eye), inside = along * along - dot(eye, eye) + 1.;
  if (inside < 0.) discard;
  vec3 place = eye + (-along - sqrt(inside)) * ray, size = abs(place);
  int axis = size.x >= size.y && size.x >= size.z ? 0 : size.y >= size.z ? 1 : 2;
  int face = 2 * axis + int(place[axis] < 0.);
  vec2 at = vec2(place[(axis + 1) % 3], place[(axis + 2) % 3]) / size[axis];
#endif
  uint id = texelFetch(ids, ivec3(clamp(ivec2((at * .5 + .5) * N), ivec2(0), ivec2(N) - 1), face), 0).r;
  if (id == 0u) discard;
  int i = int(id) - 1;
  vec3 c = shade(texelFetch(colors, ivec2(i & 255, i >> 8), 0), place, .75);
  float step = min(fwidth(float(id)), 1.);                                               // another cell beside this pixel
  pixel = vec4(mix(c, page, step * edges * (1. - .6 * smoothstep(.6, 1., limbAt(place)))), 1.);
}`;

const HALO_FRAGMENT = `#version 300 es
precision highp float;
in vec2 corner;
out vec4 pixel;
uniform float disc, aspect, dark;
uniform vec3 tint;
void main() {
  vec2 p = vec2(corner.x * aspect, corner.y + (1. - dark) * .035 * disc); // on a light page a shadow, a little lower
  float t = length(p) / disc;
  float a = mix(.22, .30, dark) * exp(-max(t - .97, 0.) * mix(16., 11., dark)) * (1. - smoothstep(1., 1.075, t));
  pixel = vec4(tint * a, a);
}`;

const fragment = (body, flat) => `#version 300 es\n${flat ? "#define FLAT\n" : ""}${SHADE}${body}`;

function programs(gl, flat) {
  return {
    cells: program(gl, CELL_VERTEX, fragment(CELL_FRAGMENT, flat)),
    coarse: program(gl, FULL_VERTEX, fragment(COARSE_FRAGMENT, flat)),
    ids: program(gl, CELL_VERTEX, ID_FRAGMENT),
    halo: program(gl, FULL_VERTEX, HALO_FRAGMENT),
  };
}

function program(gl, vertex, fragment) {
  const p = gl.createProgram();
  for (const [type, source] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) {
    const shader = gl.createShader(type);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(p, shader);
    gl.deleteShader(shader);
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
