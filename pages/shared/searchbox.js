// A text box that sends its text while the visitor types. data: { value, echo, placeholder, label }
// Every message has a number, and Python returns the number of the last one it received (echo). While that number is
// smaller than the box's own, Python's value is out of date and is ignored: no letter typed during a rerun is lost, and
// the caret does not move.

const PAUSE_MS = 150;
const boxes = new WeakMap();

const create = (parentElement, first) => {
  const root = parentElement.querySelector(".search");
  const box = { root, input: root.querySelector("input"), clear: root.querySelector("button"), number: first, timer: 0, sent: null };
  const show = () => (box.clear.hidden = box.input.value === "");
  box.show = show;
  box.send = () => {
    clearTimeout(box.timer);
    box.timer = 0;
    if (box.input.value === box.sent) return;
    box.sent = box.input.value;
    box.number += 1;
    box.post({ text: box.sent, number: box.number });
  };
  const empty = () => {
    box.input.value = "";
    show();
    box.send();
    box.input.focus();
  };
  box.input.addEventListener("input", (event) => {
    show();
    clearTimeout(box.timer);
    if (!event.isComposing) box.timer = setTimeout(box.send, PAUSE_MS);
  });
  box.input.addEventListener("compositionend", () => (box.timer = setTimeout(box.send, PAUSE_MS)));
  box.input.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    if (event.key === "Enter") box.send();
    else if (event.key === "Escape" && box.input.value) empty();
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  box.clear.addEventListener("click", empty);
  return box;
};

export default function ({ parentElement, data, setStateValue }) {
  let box = boxes.get(parentElement);
  if (!box?.root.isConnected) {
    box = create(parentElement, data.echo);
    boxes.set(parentElement, box);
  }
  box.post = (value) => setStateValue("typed", value);
  box.input.placeholder = data.placeholder;
  box.input.setAttribute("aria-label", data.label);
  const settled = box.timer === 0 && data.echo >= box.number;
  if (box.sent === null || (settled && data.value.trim() !== box.input.value.trim())) {
    box.input.value = data.value; // the initial value, or one that the page has set
    box.sent = data.value;
  }
  box.number = Math.max(box.number, data.echo);
  box.show();
}
