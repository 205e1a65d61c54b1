// A followed region: columns of nodes from coarse to fine, ribbons of common members between them.
// data: { height, dark, columns: [{ title, about, nodes: [{ id, region, name, color, share, followed,
//   carried, quiet, about }] }], links: [{ from, to, share, exact, about }] }. All text is set through
//   textContent.

const NS = "http://www.w3.org/2000/svg";
const HEAD = 38, BAR = 13, GAP = 4, LEAST = 15, ROOM = 122;

const make = (tag, attributes, text) => {
  const element = document.createElementNS(NS, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  return element;
};

// Returns the largest scale at which every column fits, with room for the labels of small nodes.
const scaleFor = (columns, height) => {
  const used = (column, scale) => column.nodes.reduce((sum, n) => sum + Math.max(LEAST, n.share * scale) + GAP, -GAP);
  let low = 0, high = height;
  for (let i = 0; i < 40; i++) {
    const middle = (low + high) / 2;
    if (columns.every((column) => used(column, middle) <= height)) low = middle;
    else high = middle;
  }
  return low;
};

const place = (columns, width, height) => {
  const scale = scaleFor(columns, height), places = new Map();
  const stride = columns.length > 1 ? (width - ROOM - BAR) / (columns.length - 1) : 0;
  columns.forEach((column, c) => {
    let y = HEAD;
    for (const node of column.nodes) {
      const slot = Math.max(LEAST, node.share * scale), tall = Math.max(1.5, node.share * scale);
      places.set(node.id, { node, x: c * stride, y: y + (slot - tall) / 2, tall, left: 0, right: 0 });
      y += slot + GAP;
    }
  });
  return { places, scale, stride };
};

const band = (x0, y0, x1, y1, tall) => {
  const m = (x0 + x1) / 2;
  return `M${x0},${y0}C${m},${y0} ${m},${y1} ${x1},${y1}v${tall}C${m},${y1 + tall} ${m},${y0 + tall} ${x0},${y0 + tall}Z`;
};

const ribbons = (links, places, scale) => {
  const rank = new Map([...places.keys()].map((id, i) => [id, i]));
  const sorted = [...links].sort((a, b) => rank.get(a.from) - rank.get(b.from) || rank.get(a.to) - rank.get(b.to));
  return sorted.flatMap((link) => {
    const a = places.get(link.from), b = places.get(link.to);
    if (!a || !b) return [];
    const tall = link.share * scale;
    const path = make("path", {
      d: band(a.x + BAR, a.y + a.right, b.x, b.y + b.left, Math.max(0.6, tall)),
      fill: b.node.quiet ? a.node.color : b.node.color,
      class: link.exact ? "ribbon" : "ribbon chained",
    });
    a.right += tall;
    b.left += tall;
    return [{ path, link, a, b }];
  });
};

// A name cut between its tokens to at most `most` characters.
const cut = (name, most) =>
  name.length <= most ? name : `${name.slice(0, most - 1).replace(/ \/ [^/]*$|[ /→…]+$/, "")}…`;

const drawNode = ({ node, x, y, tall }, room) => {
  const kind = ["node", node.region === null ? "" : "own", node.followed ? "followed" : "", node.quiet ? "quiet" : ""];
  const group = make("g", { class: kind.join(" ").trim() });
  if (node.region !== null) {
    group.setAttribute("tabindex", 0);
    group.setAttribute("role", "button");
  }
  const middle = y + tall / 2;
  group.append(make("rect", { x, y, width: BAR, height: tall, rx: 2.5, fill: node.color, class: "bar" }));
  const text = make("text", { x: x + BAR + 5, y: middle + 4 });
  const fits = Math.max(3, Math.floor((room - BAR - 20 - 6.6 * String(node.region).length) / 6.7));
  const name = node.quiet ? node.name : cut(node.name, fits);
  if (node.region !== null) {
    // has the visible text in it, so that who says what they see reaches it by voice
    const whole = name === node.name ? "" : `${node.name}, `;
    group.setAttribute("aria-label", `region ${node.region} ${name}, ${whole}${node.about[0]}`);
  }
  const long = 10 + 6.7 * (name.length + (node.region === null ? 0 : String(node.region).length + 1));
  // an invisible area of a fixed height, so that thin bars can be clicked too
  group.append(make("rect", { x, y: middle - 8, width: BAR + long, height: 16, class: "hit" }));
  if (node.region === null) text.textContent = name;
  else {
    text.append(make("tspan", {}, String(node.region)), " "); // read aloud, the two are two words
    text.append(make("tspan", { class: "token", dx: 2.2 }, name));
  }
  group.append(text);
  return group;
};

export default function ({ parentElement, data, setTriggerValue }) {
  const box = parentElement.querySelector(".flow");
  box.classList.toggle("dark", data.dark);
  const draw = () => {
    const width = box.clientWidth, height = data.height;
    if (!width) return;
    const { places, scale, stride } = place(data.columns, width, height - HEAD - 4);
    const svg = make("svg", { width, height, viewBox: `0 0 ${width} ${height}` });
    const tip = document.createElement("div");
    tip.className = "tip";
    const strips = ribbons(data.links, places, scale);
    svg.append(...strips.map((strip) => strip.path));
    data.columns.forEach((column, c) => {
      svg.append(make("text", { x: c * stride, y: 12, class: "title" }, column.title));
      svg.append(make("text", { x: c * stride, y: 26, class: "sub" }, column.about));
    });

    const say = (lines, event) => {
      const [first, ...rest] = lines;
      tip.replaceChildren(Object.assign(document.createElement("b"), { textContent: first }));
      for (const line of rest) tip.append(Object.assign(document.createElement("div"), { textContent: line }));
      tip.style.display = "block";
      const frame = box.getBoundingClientRect();
      const x = event.clientX - frame.left, y = event.clientY - frame.top;
      tip.style.left = `${Math.max(0, Math.min(x + 14, width - tip.offsetWidth - 4))}px`;
      tip.style.top = `${y + 16 + tip.offsetHeight > height + 30 ? y - tip.offsetHeight - 10 : y + 16}px`;
    };
    const light = (isLit) => {
      box.classList.add("focus");
      for (const strip of strips) strip.path.classList.toggle("lit", isLit(strip));
    };
    const calm = () => {
      box.classList.remove("focus");
      tip.style.display = "none";
    };
    const called = (node) => (node.region === null ? node.name : `${node.region} ${node.name}`);
    for (const strip of strips) {
      strip.path.onpointermove = (event) => {
        light((other) => other === strip);
        say([`${called(strip.a.node)} → ${called(strip.b.node)}`, `${strip.link.about} members`], event);
      };
      strip.path.onpointerleave = calm;
    }
    for (const spot of places.values()) {
      const group = drawNode(spot, spot.x + BAR + ROOM >= width - 1 ? ROOM : stride);
      group.onpointermove = (event) => {
        light((strip) => strip.a === spot || strip.b === spot);
        say([called(spot.node), ...spot.node.about], event);
      };
      group.onpointerleave = calm;
      if (spot.node.region !== null) {
        const pick = () => setTriggerValue("picked", spot.node.id);
        group.onclick = pick;
        group.onkeydown = (event) => {
          if (event.key !== "Enter" && event.key !== " ") return;
          event.preventDefault();
          pick();
        };
      }
      svg.append(group);
    }
    box.replaceChildren(svg, tip);
  };
  draw();
  const observer = new ResizeObserver(draw);
  observer.observe(box);
  return () => observer.disconnect();
}
