// Draws nothing: unpacks one blob of named arrays and keeps it, while mounted, for the views that ask for it by id.
// Layout (see pack() in ep/views/sphere.py): uint32 length of a JSON head, the head, then the arrays it lists.

const ARRAYS = { i2: Int16Array, u1: Uint8Array, u2: Uint16Array, u4: Uint32Array, f4: Float32Array };

export default function ({ data }) {
  const blobs = (window.epBlobs ??= new Map());
  const length = new DataView(data.buffer, data.byteOffset, data.byteLength).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(data.subarray(4, 4 + length)));
  if (!blobs.has(head.id)) {
    const bytes = data.slice(4 + length).buffer;
    const blob = { ...head.texts };
    for (const [name, type, offset, count] of head.arrays) blob[name] = new ARRAYS[type](bytes, offset, count);
    blobs.set(head.id, blob);
    window.dispatchEvent(new CustomEvent("ep-blob", { detail: head.id }));
  }
  return () => blobs.delete(head.id);
}
