// The grid of layers and positions of a prompt. Text from data is only ever set as textContent, never as markup.
// data: { id, label, columns: [text], rows: [{ layer, mark, pale, title }], cells: [[text]], steps: [[step]],
//   colors: [[background, ink]], tips: { texts: [text], top: [[[index, probability]]], ranks: [[rank]] | null, pinned },
//   locked: { layer, token } }. The rows come in the order in which they are drawn, the deepest layer first.
// Clicking a cell, or Enter on it, sends { layer, token }.

const views = new WeakMap();

const make = (tag, text, className) => {
  const element = document.createElement(tag);
  element.textContent = text;
  if (className) element.className = className;
  return element;
};

const cellOf = (data, row, column) => {
  const cell = make("div", data.cells[row][column], "cell");
  const [background, ink] = data.colors[data.steps[row][column]];
  cell.style.background = background;
  cell.style.color = ink;
  cell.dataset.row = row;
  cell.dataset.column = column;
  cell.setAttribute("role", "gridcell");
  cell.tabIndex = -1;
  return cell;
};

const rowOf = (data, row) => {
  const { layer, mark, pale, title } = data.rows[row];
  const line = make("div", "", pale ? "row pale" : "row");
  line.setAttribute("role", "row");
  const head = make("div", "", "head");
  head.title = title;
  head.setAttribute("role", "rowheader");
  head.append(make("i", mark), `L${layer}`);
  line.append(head, ...data.cells[row].map((_, column) => cellOf(data, row, column)));
  return line;
};

const draw = (data) => {
  const top = make("div", "", "row top");
  top.setAttribute("role", "row");
  const heads = data.columns.map((text, column) => {
    const head = make("div", text, "column");
    head.title = `token ${column} · ${text}`;
    head.setAttribute("role", "columnheader");
    return head;
  });
  top.append(make("div", "", "head"), ...heads);
  return [top, ...data.rows.map((_, row) => rowOf(data, row))];
};

// The card of a cell beside the pointer: its place, then its most probable tokens, or the pinned token's rank first.
const fillTip = (tip, data, row, column) => {
  const { texts, top, ranks, pinned } = data.tips;
  const lines = top[row][column].map(([index, probability]) => {
    const line = make("div", "", "line");
    line.append(make("span", texts[index], "token"), make("span", probability.toFixed(3), "p"));
    return line;
  });
  if (ranks) {
    const line = make("div", "", "line rank");
    line.append(make("span", pinned, "token"), make("span", `rank ${ranks[row][column].toLocaleString("en")}`, "p"));
    lines.unshift(line);
  }
  const place = `layer ${data.rows[row].layer} · token ${column}`;
  tip.replaceChildren(make("div", `${place} · ${data.rows[row].title}`, "place"), ...lines);
};

const showTip = (view, cell) => {
  fillTip(view.tip, view.data, Number(cell.dataset.row), Number(cell.dataset.column));
  view.tip.hidden = false;
  const [frame, box] = [view.root.getBoundingClientRect(), cell.getBoundingClientRect()];
  const [width, height] = [view.tip.offsetWidth, view.tip.offsetHeight];
  const left = Math.min(box.left - frame.left, frame.width - width);
  const below = box.bottom + height + 8 < window.innerHeight;
  view.tip.style.left = `${Math.max(0, left)}px`;
  view.tip.style.top = `${below ? box.bottom - frame.top + 4 : box.top - frame.top - height - 4}px`;
};

const STEPS = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] };

const cellAt = (view, row, column) => view.box.querySelector(`.cell[data-row="${row}"][data-column="${column}"]`);

const lock = (view) => {
  const { layer, token } = view.data.locked;
  const row = view.data.rows.findIndex((one) => one.layer === layer);
  for (const old of view.box.querySelectorAll(".on")) {
    old.classList.remove("on");
    if (old.tabIndex === 0) old.tabIndex = -1;
  }
  view.box.querySelectorAll(".column")[token]?.classList.add("on");
  view.box.querySelectorAll(".row:not(.top) .head")[row]?.classList.add("on");
  const cell = cellAt(view, row, token) ?? view.box.querySelector(".cell");
  cell?.classList.add("on");
  if (cell) cell.tabIndex = 0;
  return cell;
};

// Scrolls the box itself, never the page, so that the chosen cell can be seen.
const reveal = (view, cell) => {
  const head = view.box.querySelector(".head").offsetWidth;
  const top = view.box.querySelector(".top").offsetHeight;
  const { box } = view;
  if (cell.offsetLeft < box.scrollLeft + head || cell.offsetLeft + cell.offsetWidth > box.scrollLeft + box.clientWidth)
    box.scrollLeft = cell.offsetLeft - box.clientWidth / 2;
  if (cell.offsetTop < box.scrollTop + top || cell.offsetTop + cell.offsetHeight > box.scrollTop + box.clientHeight)
    box.scrollTop = cell.offsetTop - box.clientHeight / 2;
};

const create = (parentElement) => {
  const root = parentElement.querySelector(".frame");
  const view = { root, box: root.querySelector(".grid"), tip: root.querySelector(".tip"), id: null, data: null, send: null };
  const target = (event) => event.target.closest?.(".cell");
  const pick = (cell) =>
    view.send("picked", { layer: view.data.rows[Number(cell.dataset.row)].layer, token: Number(cell.dataset.column) });
  view.box.onclick = (event) => target(event) && pick(target(event));
  view.box.onmouseover = (event) => (target(event) ? showTip(view, target(event)) : (view.tip.hidden = true));
  view.box.onmouseleave = () => (view.tip.hidden = true);
  view.box.onscroll = () => (view.tip.hidden = true);
  view.box.onfocusout = () => (view.tip.hidden = true);
  view.box.onkeydown = (event) => {
    const cell = target(event);
    if (!cell) return;
    if (event.key === "Enter" || event.key === " ") pick(cell);
    else if (event.key in STEPS) {
      const [down, right] = STEPS[event.key];
      const next = cellAt(view, Number(cell.dataset.row) + down, Number(cell.dataset.column) + right);
      if (next) {
        cell.tabIndex = -1;
        next.tabIndex = 0;
        next.focus({ preventScroll: true });
        reveal(view, next);
        showTip(view, next);
      }
    } else if (event.key === "Escape") view.tip.hidden = true;
    else return;
    event.preventDefault();
  };
  return view;
};

export default function ({ parentElement, data, setTriggerValue }) {
  let view = views.get(parentElement);
  if (!view) views.set(parentElement, (view = create(parentElement)));
  view.send = setTriggerValue;
  view.data = data;
  const isNew = view.id !== data.id;
  if (isNew) {
    view.id = data.id;
    view.tip.hidden = true;
    view.box.setAttribute("aria-label", data.label);
    view.box.style.setProperty("--n", data.columns.length);
    view.box.replaceChildren(...draw(data));
  }
  const cell = lock(view);
  if (isNew && cell) requestAnimationFrame(() => cell.isConnected && reveal(view, cell)); // once it has a size
}
