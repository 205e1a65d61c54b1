// The neighbourhood figure: one column per dictionary, with A at the top, B at the bottom, and the regions between them
// as cards with a cosine on every arrow. Text from data is only set as textContent; colours come from the palette.
// data: { columns: [{ key, title, size, result, kind, current, cosine, a, b, steps, more }], picked: [key, region] }

const make = (tag, className, text) => {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
};

const token = (parts) => {
  const span = make("span", "token");
  for (const [text, mark] of parts) span.append(mark ? make("i", "", text) : text);
  return span;
};

const card = (item, column, name, picked) => {
  const key = column.key;
  const box = make("div", "card");
  box.setAttribute("role", "button");
  box.tabIndex = 0;
  // has the visible text in it, so that who says what they see reaches it by voice
  box.setAttribute("aria-label", `region ${item.region}, ${name && `${name} `}${item.name}`);
  box.style.setProperty("--c", item.color);
  if (picked[0] === key && picked[1] === item.region) box.classList.add("on");
  if (name) box.append(make("b", "name", name), " ");
  box.append(make("span", "token", item.name));
  box.item = item;
  box.value = { key, region: item.region };
  return box;
};

const anchor = (item, column, name, picked) => {
  const place = make("div", `anchor ${name.toLowerCase()}`);
  place.append(card(item, column, name, picked));
  place.append(make("small", "carried", item.carried || " "));
  return place;
};

const arrow = (side, cosine) => {
  const place = make("span", `arrow ${side}`);
  place.append(make("span", "cos", cosine.replace("-0.00", "0.00").replace("0.", ".")));
  return place;
};

const between = (column, picked) =>
  column.steps.map((step) => {
    const row = make("div", column.kind === "miss" ? "step miss" : "step");
    row.append(arrow("left", step.before), card(step, column, "", picked), arrow("right", step.after));
    return row;
  });

const down = (cosine) => {
  const place = make("div", "down");
  place.append(make("span", "cos", cosine.replace("-0.00", "0.00").replace("0.", ".")));
  return place;
};

const chain = (column, picked) => {
  if (!column.steps.length) return [down(column.cosine)];
  const parts = column.steps.flatMap((step) => [down(step.before), card(step, column, "", picked)]);
  return [...parts, down(column.steps.at(-1).after)];
};

const draw = (column, picked) => {
  const box = make("section", column.current ? "column current" : "column");
  const head = make("header");
  head.append(make("b", "", column.title), make("span", "", column.size));
  box.append(head, make("div", "result", column.result));
  if (column.kind === "same") {
    box.append(anchor(column.a, column, "A = B", picked));
    box.lastChild.className = "anchor a";
    return box;
  }
  box.append(anchor(column.a, column, "A", picked));
  const middle = make("div", `middle ${column.kind}`);
  if (column.kind === "path") middle.append(...chain(column, picked));
  else if (column.kind !== "apart") middle.append(...between(column, picked));
  box.append(middle);
  if (column.more > 0) {
    const more = make("button", "more", `and ${column.more.toLocaleString("en")} more`);
    more.value = column.key;
    box.append(more);
  }
  box.append(anchor(column.b, column, "B", picked));
  return box;
};

// Shows all of a region on hover or focus, beside its card and inside the window.
const show = (pop, box) => {
  const item = box.item;
  const head = make("div", "head");
  head.append(make("b", "", `Region ${item.region}`), make("span", "", item.members));
  const lens = make("div", "lens");
  if (item.tokens.length) lens.append(make("small", "", "lens"));
  item.tokens.forEach((parts) => lens.append(token(parts)));
  const rows = item.excerpts.map((runs) => {
    const row = make("div", "excerpt");
    runs.forEach(([text, marked]) => text && row.append(make(marked ? "mark" : "span", "", text)));
    return row;
  });
  const about = [item.carried, item.excess, item.before && `cos with A ${item.before}, with B ${item.after}`];
  if (!item.excerpts.length) rows.push(make("div", "quiet", "No excerpts in this file."));
  pop.replaceChildren(head, make("div", "label", item.whole), lens, ...rows, make("div", "quiet", about.filter(Boolean).join(" · ") || "Click for more."));
  pop.style.setProperty("--c", item.color);
  pop.hidden = false;
  const at = box.getBoundingClientRect();
  const left = at.right + 10 + pop.offsetWidth < innerWidth ? at.right + 10 : at.left - 10 - pop.offsetWidth;
  pop.style.left = `${Math.max(8, left)}px`;
  pop.style.top = `${Math.max(8, Math.min(at.top - 12, innerHeight - pop.offsetHeight - 8))}px`;
};

export default function ({ parentElement, data, setTriggerValue }) {
  const figure = parentElement.querySelector(".figure");
  const pop = parentElement.querySelector(".pop");
  const boxes = data.columns.map((column) => draw(column, data.picked));
  figure.style.gridTemplateColumns = data.columns.map((c) => `minmax(128px, ${c.current ? 1.55 : 1}fr)`).join(" ");
  if (data.columns.length === 1) figure.style.gridTemplateColumns = "minmax(0, 460px)";
  figure.replaceChildren(...boxes);
  pop.hidden = true;

  const cardOf = (event) => event.target.closest?.(".card");
  const pick = (event) => {
    const more = event.target.closest?.(".more");
    if (more) return setTriggerValue("listed", { key: more.value, at: Date.now() });
    const box = cardOf(event);
    if (box) setTriggerValue("picked", { ...box.value, at: Date.now() });
  };
  figure.onclick = pick;
  figure.onkeydown = (event) => {
    if (event.key === "Escape") pop.hidden = true;
    if (!cardOf(event) || (event.key !== "Enter" && event.key !== " ")) return;
    event.preventDefault();
    pick(event);
  };
  figure.onpointerover = (event) => {
    const box = cardOf(event);
    if (box) show(pop, box);
    else pop.hidden = true;
  };
  figure.onpointerleave = () => (pop.hidden = true);
  figure.onfocusin = (event) => cardOf(event)?.matches(":focus-visible") && show(pop, cardOf(event));
  figure.onfocusout = () => (pop.hidden = true);
  return () => (pop.hidden = true);
}
