// A card for each family of dictionaries. Text from data is only ever set as textContent, never as markup.
// data: { cards: [{ id, title, kind, kindAbout, about, facts, warning, percentiles, rows: [{ layer, cells: [{ key, p, k,
//   share, about, stopped }] }], more, picked, pickedKey, regions, isOpen, picture, notes, locked, files }] }
// picture is a data URL, "" while it is being drawn, or null where there is none.

const galleries = new WeakMap();

const make = (tag, className = "", text = "") => {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text) element.textContent = text;
  return element;
};

// Buttons have a name within their card, by which the focus is found again after the card was drawn anew.
const button = (className, text, name, action) => {
  const element = make("button", className, text);
  element.type = "button";
  element.dataset.name = name;
  element.onclick = action;
  return element;
};

const picture = (card, post) => {
  const element = button("picture", "", "picture", () => post("opened", card.pickedKey));
  element.setAttribute("aria-label", `Open ${card.title}, ${card.picked}`);
  element.title = "Open it on the Atlas";
  if (card.picture) {
    const image = make("img");
    image.src = card.picture;
    image.alt = "";
    element.append(image);
  } else element.append(make("span", card.picture === null ? "ball none" : "ball", card.picture === null ? "too few regions for a sphere" : ""));
  return element;
};

const head = (card, view) => {
  const row = make("header");
  if (view.editing === card.id) {
    row.append(editor(card, view));
    return row;
  }
  const title = make("h3", "", card.title);
  title.title = card.title;
  row.append(title, menu(card, view));
  return row;
};

const kinds = (card) => {
  const row = make("p", "kinds");
  const kind = make("span", card.kind.startsWith("real") ? "kind real" : "kind", card.kind);
  kind.title = card.kindAbout;
  row.append(kind);
  if (card.isOpen) row.append(make("span", "kind now", "open now"));
  if (card.warning) row.append(make("span", "kind warn", card.warning));
  return row;
};

const editor = (card, view) => {
  const form = make("form", "editor");
  const input = make("input");
  input.value = card.title;
  input.maxLength = 120;
  input.dataset.name = "title";
  input.setAttribute("aria-label", `New title of ${card.title}`);
  const stop = () => {
    view.editing = null;
    view.redraw(card.id, "menu");
  };
  const save = make("button", "small primary", "Save");
  save.type = "submit";
  form.onsubmit = (event) => {
    event.preventDefault();
    const title = input.value.trim();
    stop();
    if (title !== card.title) view.post("renamed", { id: card.id, title });
  };
  form.onkeydown = (event) => {
    event.stopPropagation();
    if (event.key === "Escape") stop();
  };
  const hint = make("p", "hint", "Shown in this explorer; the file, its digest and its links stay as they are. Empty: the file’s own title.");
  form.append(input, save, button("small", "Cancel", "cancel", stop), hint);
  return form;
};

const menu = (card, view) => {
  const details = make("details", "menu");
  const summary = make("summary", "", "⋯");
  summary.dataset.name = "menu";
  summary.setAttribute("aria-label", `More for ${card.title}`);
  details.append(summary);
  const list = make("div", "items");
  if (card.locked) list.append(make("p", "locked", card.locked));
  const entry = (text, name, action) => {
    const item = button("item", text, name, () => {
      details.open = false;
      action();
    });
    item.disabled = Boolean(card.locked);
    list.append(item);
  };
  entry("Rename", "rename", () => {
    view.editing = card.id;
    view.redraw(card.id, "title");
  });
  if (card.files > 1) entry(`Delete ${card.picked}`, "delete", () => view.post("deleted", { id: card.id, key: card.pickedKey }));
  const all = card.files > 1 ? `Delete all ${card.files} files` : "Delete";
  entry(all, "delete all", () => view.post("deleted", { id: card.id, key: "" }));
  details.append(list);
  details.onkeydown = (event) => {
    if (event.key !== "Escape" || !details.open) return;
    details.open = false;
    summary.focus();
  };
  return details;
};

// The selector is one tab stop; arrow keys move in it, Enter or space picks, a double click opens.
const MOVES = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] };

const selector = (card, view) => {
  const table = make("div", "grid");
  table.style.setProperty("--n", card.percentiles.length);
  table.setAttribute("role", "group");
  table.setAttribute("aria-label", "Layers and percentiles");
  table.append(make("span", "corner", "layer"));
  for (const p of card.percentiles) table.append(make("span", "p", `p ${p}`));
  const cells = [];
  card.rows.forEach((row, y) => {
    table.append(make("span", "layer", row.layer));
    cells.push(card.percentiles.map(() => null));
    card.percentiles.forEach((p, x) => {
      const found = row.cells.filter((cell) => cell.p === p);
      const place = make("span", "place");
      for (const cell of found) {
        const one = cellButton(cell, card, view);
        cells[y][x] ??= one;
        place.append(one);
      }
      table.append(place);
    });
  });
  table.onkeydown = (event) => {
    const step = MOVES[event.key];
    if (!step) return;
    event.preventDefault();
    const y = cells.findIndex((row) => row.includes(event.target));
    const x = y < 0 ? -1 : cells[y].indexOf(event.target);
    for (let i = y + step[0], j = x + step[1]; cells[i]?.[j] !== undefined; i += step[0], j += step[1])
      if (cells[i][j]) return cells[i][j].focus();
  };
  return table;
};

const cellButton = (cell, card, view) => {
  const isPicked = cell.key === card.pickedKey;
  const one = button("cell", cell.k, `cell ${cell.key}`, () => !isPicked && view.post("picked", { id: card.id, key: cell.key }));
  one.ondblclick = () => view.post("opened", cell.key);
  one.title = cell.stopped ? `${cell.about}, stopped early` : cell.about;
  one.setAttribute("aria-pressed", isPicked);
  one.setAttribute("aria-label", one.title);
  one.tabIndex = isPicked ? 0 : -1;
  one.style.setProperty("--share", cell.share);
  if (cell.stopped) one.classList.add("stopped");
  return one;
};

const foot = (card, view) => {
  const row = make("footer");
  const open = button("small open", "Open", "open", () => view.post("opened", card.pickedKey));
  open.title = "Open it on the Atlas";
  row.append(open, make("span", "chosen", `${card.picked} · ${card.regions}`), notes(card));
  return row;
};

const notes = (card) => {
  const details = make("details", "notes");
  details.append(make("summary", "", "More"));
  for (const note of card.notes) details.append(make("p", "", note));
  return details;
};

const draw = (card, view) => {
  const article = make("article", card.isOpen ? "card on" : "card");
  article.setAttribute("aria-label", card.title);
  const body = make("div", "body");
  body.append(head(card, view), kinds(card), make("p", "about", card.about), selector(card, view));
  if (card.more) body.append(make("p", "hint", `${card.more} more files of this build are not listed here.`));
  body.append(make("p", "facts", card.facts.join(" · ")), foot(card, view));
  article.append(picture(card, view.post), body);
  return article;
};

// A card is drawn anew only when its data changed, and never while its title is being edited.
const update = (view, id, focus) => {
  const card = view.data.get(id);
  const old = view.cards.get(id);
  const name = focus ?? (old?.element.contains(view.active()) ? view.active().dataset.name : undefined);
  const wasOpen = old?.element.querySelector(".notes")?.open;
  const element = draw(card, view);
  element.querySelector(".notes").open = Boolean(wasOpen);
  old?.element.replaceWith(element);
  view.cards.set(id, { element, text: JSON.stringify(card) });
  if (name === undefined) return;
  const target = [...element.querySelectorAll("[data-name]")].find((one) => one.dataset.name === name);
  target?.focus();
  if (name === "title") target?.select();
};

const closeMenus = (root, except) => {
  for (const menu of root.querySelectorAll(".menu[open]")) if (menu !== except) menu.open = false;
};

export default function ({ parentElement, data, setTriggerValue }) {
  const root = parentElement.querySelector(".gallery");
  let view = galleries.get(parentElement);
  if (view?.root !== root) {
    view = { root, cards: new Map(), editing: null };
    view.active = () => root.getRootNode().activeElement;
    view.redraw = (id, focus) => update(view, id, focus);
    galleries.set(parentElement, view);
    root.addEventListener("click", (event) => closeMenus(root, event.target.closest?.(".menu")));
  }
  view.post = setTriggerValue;
  view.data = new Map(data.cards.map((card) => [card.id, card]));
  if (!view.data.has(view.editing)) view.editing = null;
  for (const id of [...view.cards.keys()])
    if (!view.data.has(id)) {
      view.cards.get(id).element.remove();
      view.cards.delete(id);
    }
  for (const [id, card] of view.data)
    if (view.editing !== id && view.cards.get(id)?.text !== JSON.stringify(card)) update(view, id);
  [...view.data.keys()].forEach((id, place) => {
    const { element } = view.cards.get(id);
    if (root.children[place] !== element) root.insertBefore(element, root.children[place] ?? null);
  });
}
