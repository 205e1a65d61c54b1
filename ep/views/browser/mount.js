// Updates of a view from the data that Python sends; only what has changed is applied.

const VIEWS = new WeakMap(); // the view of each mount point, which is used again on a rerun

// Applies everything but the blobs.
function updateView(view, data) {
  Object.assign(view, { file: data.file, note: data.note, title: data.title, legend: data.legend, names: data.names, brushable: data.brushable });
  view.find(".wrap").style.height = data.height ? `${data.height}px` : "";
  view.find(".modes").hidden = !data.brushable;
  if (!data.brushable && view.tool !== "move") view.use("move");
  const decor = JSON.stringify([data.colors, data.legend, data.ramp, data.names]);
  if (view.decor !== decor) {
    [view.decor, view.ramp] = [decor, data.ramp];
    drawLegend(view.find(".legend"), data);
    view.request();
  }
  view.find(".note").textContent = data.note;
  const path = JSON.stringify([data.path, data.path_labels]);
  if (view.pathData !== path) {
    view.pathData = path;
    view.setPath(data.path, data.path_labels);
  }
}

// Applies the blobs once all of them are available; returns false while one is missing.
function showBlobs(view, data, blobs) {
  const [blob, colors] = [blobs.get(data.blob), blobs.get(data.colors)];
  if (!blob || !colors || (data.partners && !blobs.has(data.partners))) return false;
  view.partners = data.partners ? blobs.get(data.partners).partners : null;
  const swapped = view.setBlob(blob);
  view.setColors(colors);
  view.setLink(data.link);
  if (swapped || data.brush_sequence !== view.brushSequence) view.setBrush(data.brushed);
  const chosen = data.sequence !== view.sequence;
  if (swapped || chosen) view.select(data.selected);
  [view.sequence, view.brushSequence] = [data.sequence, data.brush_sequence];
  if (swapped && !view.returning) {
    if (view.kind === "sphere") view.face(true); // only when the map is first shown
  } else if ((swapped || chosen) && !view.comfortable()) view.face();
  return true;
}
