// Clickable chips and running text. Text from data is only ever set as textContent, never as markup.
// data: { running, items: [{ id, parts: [[text, mark]], color, strength, before, after, title, on }] }

const make = (tag, text, className) => {
  const element = document.createElement(tag);
  element.textContent = text;
  if (className) element.className = className;
  return element;
};

// Marks represent invisible characters; in running text, a newline also breaks the line.
const fill = (chip, parts, running) => {
  for (const [text, mark] of parts) {
    if (!mark) chip.append(text);
    else
      for (const sign of text) {
        chip.append(make("i", sign));
        if (running && sign === "↵") chip.append(document.createElement("br"));
      }
  }
};

const draw = (item, index, running) => {
  const chip = make("span", "", item.on ? "chip on" : "chip");
  chip.dataset.index = index;
  chip.setAttribute("role", "button");
  chip.setAttribute("aria-pressed", Boolean(item.on));
  chip.style.setProperty("--c", item.color);
  chip.style.setProperty("--a", item.strength);
  chip.title = item.title ?? "";
  if (item.before) chip.append(make("b", item.before));
  fill(chip, item.parts, running);
  if (item.after) chip.append(make("small", item.after));
  return chip;
};

// The box is one tab stop: arrow keys move from chip to chip, Enter or space picks one.
const STEPS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1, Home: -Infinity, End: Infinity };

const walk = (chips, from, step) => {
  const to = Math.min(chips.length - 1, Math.max(0, from + step));
  chips[from].tabIndex = -1;
  chips[to].tabIndex = 0;
  chips[to].focus();
};

export default function ({ parentElement, data, setTriggerValue }) {
  const box = parentElement.querySelector(".box");
  // after a pick the same chips are drawn again, and the focus must not be lost
  const same = box.querySelectorAll(".chip").length === data.items.length;
  const focused = same ? parentElement.activeElement?.dataset.index : undefined;
  const chips = data.items.map((item, index) => draw(item, index, data.running));
  const entry = Number(focused ?? Math.max(0, data.items.findIndex((item) => item.on)));
  chips.forEach((chip, index) => (chip.tabIndex = index === entry ? 0 : -1));
  box.className = data.running ? "box running" : "box";
  // in running text, a line may break before a space (which starts with a mark) but not inside a word
  const mayBreak = (item) => !data.running || item.parts[0]?.[1];
  box.replaceChildren(...chips.flatMap((chip, i) => (mayBreak(data.items[i]) ? [document.createElement("wbr"), chip] : [chip])));
  if (focused !== undefined) chips[entry]?.focus();

  const indexOf = (event) => Number(event.target.closest?.(".chip")?.dataset.index ?? -1);
  const pick = (index) => index >= 0 && setTriggerValue("picked", data.items[index].id);
  box.onclick = (event) => pick(indexOf(event));
  box.onkeydown = (event) => {
    const index = indexOf(event);
    if (index < 0) return;
    if (event.key === "Enter" || event.key === " ") pick(index);
    else if (event.key in STEPS) walk(chips, index, STEPS[event.key]);
    else return;
    event.preventDefault();
  };
}
