// A quiet button that puts the address of the present view on the clipboard. data: { label, done, failed }

const copied = async (text) => {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const field = document.createElement("textarea"); // without https the clipboard is closed to scripts
    field.value = text;
    field.style.cssText = "position:fixed;opacity:0";
    document.body.append(field);
    field.select();
    const worked = document.execCommand("copy");
    field.remove();
    return worked;
  }
};

export default function ({ parentElement, data }) {
  const button = parentElement.querySelector("button");
  const text = button.querySelector("span");
  if (!button.dataset.busy) text.textContent = data.label;
  button.onclick = async () => {
    button.dataset.busy = "yes";
    text.textContent = (await copied(window.location.href)) ? data.done : data.failed;
    setTimeout(() => {
      delete button.dataset.busy;
      text.textContent = data.label;
    }, 2000);
  };
}
