// A component that draws nothing: it unpacks one blob and keeps it in window.epBlobs, under its
// name, while it is mounted.

const BLOB_OF = new WeakMap(); // name of the blob of each mount point

export default function ({ data, parentElement }) {
  const blobs = (window.epBlobs ??= new Map());
  const holders = (window.epHolders ??= new Map()); // mount points by blob; a blob may have several
  const release = (id) => {
    holders.get(id)?.delete(parentElement);
    if (holders.get(id)?.size) return;
    holders.delete(id);
    blobs.delete(id);
  };
  const { id, read } = unpack(data);
  const before = BLOB_OF.get(parentElement);
  BLOB_OF.set(parentElement, id);
  if (!holders.has(id)) holders.set(id, new Set());
  holders.get(id).add(parentElement);
  if (!blobs.has(id)) {
    blobs.set(id, read());
    window.dispatchEvent(new CustomEvent("ep-blob", { detail: id }));
  }
  if (before !== undefined && before !== id) release(before);
  return () => release(BLOB_OF.get(parentElement));
}
