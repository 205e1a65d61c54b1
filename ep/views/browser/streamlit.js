// Entry point of the Streamlit component, which Streamlit calls on every run.

export default function ({ parentElement, data, setTriggerValue }) {
  let view = VIEWS.get(parentElement);
  if (!view) VIEWS.set(parentElement, (view = new View(parentElement, data.name)));
  view.report = (what, value) => setTriggerValue(what, value);
  updateView(view, data);
  const blobs = (window.epBlobs ??= new Map());
  window.removeEventListener("ep-blob", view.waiting);
  view.waiting = () => showBlobs(view, data, blobs) && window.removeEventListener("ep-blob", view.waiting);
  if (!showBlobs(view, data, blobs)) window.addEventListener("ep-blob", view.waiting);

  return () => {
    window.removeEventListener("ep-blob", view.waiting);
    view.close();
    VIEWS.delete(parentElement);
  };
}
