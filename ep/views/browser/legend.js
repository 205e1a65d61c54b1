// The legend above a map.

// The components of a CSS colour, from 0 to 1.
const RGB = new Map();
function rgb(color) {
  if (!RGB.has(color)) {
    const context = document.createElement("canvas").getContext("2d");
    context.fillStyle = color || "#fff";
    RGB.set(color, [1, 3, 5].map((i) => parseInt(context.fillStyle.slice(i, i + 2), 16) / 255));
  }
  return RGB.get(color);
}

function element(tag, text, css) {
  const node = document.createElement(tag);
  if (text !== undefined) node.textContent = text;
  if (css) node.style.background = css;
  return node;
}

const gradient = (colors) => `linear-gradient(90deg,${colors.join()})`;

// Draws either the groups with their colours and sizes, or a ramp with the values at its ends.
function drawLegend(place, { legend, ramp }) {
  const row = (...parts) => {
    const div = element("div");
    div.append(...parts);
    return div;
  };
  if (!ramp) {
    place.replaceChildren(...legend.map(([color, name, count]) => row(element("i", "", color), element("span", name), element("b", count))));
    return;
  }
  const bar = row(element("span", ramp.name), element("b", ramp.low), element("i", "", gradient(ramp.light)), element("b", ramp.high));
  bar.className = "ramp";
  place.replaceChildren(bar);
}
