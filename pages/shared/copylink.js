// A button that copies the URL of the current view to the clipboard. data: { label, done, failed }

const copy = async (text) => {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const field = document.createElement("textarea"); // the clipboard API is available only over https
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
    text.textContent = (await copy(window.location.href)) ? data.done : data.failed;
    setTimeout(() => {
      delete button.dataset.busy;
      text.textContent = data.label;
    }, 2000);
  };
}
