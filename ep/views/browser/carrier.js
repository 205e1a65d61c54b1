// Draws nothing: unpacks one blob and keeps it, while mounted, for the views that ask for it by name.

const HELD = new WeakMap(); // by mount point: the name of the blob it carries

export default function ({ data, parentElement }) {
  const blobs = (window.epBlobs ??= new Map());
  const holders = (window.epHolders ??= new Map()); // two places may carry one blob
  const release = (id) => {
    holders.get(id)?.delete(parentElement);
    if (holders.get(id)?.size) return;
    holders.delete(id);
    blobs.delete(id);
  };
  const { id, read } = unpack(data);
  const before = HELD.get(parentElement);
  HELD.set(parentElement, id);
  if (!holders.has(id)) holders.set(id, new Set());
  holders.get(id).add(parentElement);
  if (!blobs.has(id)) {
    blobs.set(id, read());
    window.dispatchEvent(new CustomEvent("ep-blob", { detail: id }));
  }
  if (before !== undefined && before !== id) release(before);
  return () => release(HELD.get(parentElement));
}
