// Four columns of text while it is written. All text is set through textContent; colours come from
// our own palette.
// data: { columns: [{ name, about, color, explain, tokens: [[text, isNew, title]], writing, note,
//         strong, facts: [[value, label, title]], strip: [[color, strength, title, region]] }] }

const make = (tag, className, text = "", title = "") => {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.textContent = text;
  if (title) element.title = title;
  return element;
};

const views = new WeakMap();

const build = (root, count) => {
  root.replaceChildren();
  return Array.from({ length: count }, () => {
    const part = { box: make("section", "col"), head: make("div", "head"), name: make("b"), about: make("span"), drawn: [], follow: true };
    part.text = make("div", "text");
    part.text.tabIndex = 0;
    part.strip = make("div", "strip");
    part.strip.addEventListener("keydown", walk);
    part.note = make("div", "note");
    part.facts = make("div", "facts");
    part.head.append(part.name, part.about);
    part.box.append(part.head, part.text, part.note, part.strip, part.facts);
    part.text.addEventListener("scroll", () => {
      const { scrollTop, clientHeight, scrollHeight } = part.text;
      part.follow = scrollTop + clientHeight > scrollHeight - 24;
    });
    root.append(part.box);
    return part;
  });
};

// Tokens already on the page keep their elements, so that hover and text selection survive while
// more tokens arrive.
const write = (part, column) => {
  const same = part.drawn.every(([text], i) => column.tokens[i]?.[0] === text);
  if (!same || !part.drawn.length || !column.tokens.length) {
    part.text.replaceChildren();
    part.drawn = [];
  }
  part.text.querySelector(".caret")?.remove();
  const spans = part.text.children;
  column.tokens.forEach((token, i) => {
    const [text, isNew, title] = token;
    const span = spans[i] ?? part.text.appendChild(make("span", "", text));
    if (span.className !== (isNew ? "new" : "")) span.className = isNew ? "new" : "";
    if (span.title !== title) span.title = title;
  });
  part.drawn = column.tokens;
  if (column.writing) part.text.append(make("span", "caret"));
  else if (!column.tokens.length) part.text.append(make("span", "explain", column.explain));
  if (column.writing && part.follow) part.text.scrollTop = part.text.scrollHeight;
};

const foot = (part, column, pick) => {
  part.note.textContent = column.note;
  part.note.title = column.note;
  part.note.className = column.strong ? "note strong" : "note";
  part.facts.replaceChildren(
    ...column.facts.map(([value, label, title]) => {
      const fact = make("div", "", "", title);
      fact.append(make("b", "", value), make("span", "", label));
      return fact;
    }),
  );
  part.strip.title = "where this text falls in the dictionary, token by token, as the unchanged model reads it";
  part.strip.className = `strip${column.strip.length ? "" : " empty"}${column.strip.length > 48 ? " many" : ""}`;
  const held = part.strip.matches(":focus-within") ? [...part.strip.children].findIndex((cell) => cell.tabIndex === 0) : -1;
  part.strip.replaceChildren(
    ...column.strip.map(([color, strength, title, region], i) => {
      const cell = make("span", "", "", title);
      cell.style.setProperty("--c", color);
      cell.style.setProperty("--a", strength);
      cell.setAttribute("role", "button");
      cell.setAttribute("aria-label", title);
      cell.tabIndex = i === Math.max(held, 0) ? 0 : -1;
      cell.onclick = () => pick(region);
      return cell;
    }),
  );
  if (held >= 0) part.strip.children[held]?.focus();
};

// The Tab key stops once at a strip; arrow keys move between its cells, Enter and Space pick one.
const walk = (event) => {
  const cell = event.target;
  const cells = [...cell.parentElement.children];
  if (event.key === "Enter" || event.key === " ") cell.click();
  else {
    const now = cells.indexOf(cell);
    const to = { ArrowLeft: now - 1, ArrowRight: now + 1, Home: 0, End: cells.length - 1 }[event.key];
    if (to === undefined) return;
    const next = cells[Math.min(cells.length - 1, Math.max(0, to))];
    cell.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  }
  event.preventDefault();
};

export default function ({ parentElement, data, setTriggerValue }) {
  const root = parentElement.querySelector(".stream");
  let view = views.get(root);
  if (!view || view.parts.length !== data.columns.length) {
    view = { parts: build(root, data.columns.length), feet: [] };
    views.set(root, view);
    root.style.setProperty("--count", data.columns.length);
    view.watch = new ResizeObserver(([entry]) => root.classList.toggle("narrow", entry.contentRect.width < 820));
    view.watch.observe(root);
  }
  data.columns.forEach((column, i) => {
    const part = view.parts[i];
    part.box.style.setProperty("--c", column.color);
    part.box.setAttribute("aria-label", `${column.name}: ${column.about}`);
    part.name.textContent = column.name;
    part.about.textContent = column.about;
    part.about.title = column.about;
    write(part, column);
    const now = JSON.stringify([column.note, column.strong, column.facts, column.strip]);
    if (view.feet[i] !== now) foot(part, column, (region) => setTriggerValue("picked", region));
    view.feet[i] = now;
  });
}
