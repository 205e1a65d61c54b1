// One blob of named arrays and texts. Layout (see pack() in ep/views/blob.py): uint32 length of a JSON head, the head,
// then the arrays it lists.

const ARRAYS = { i2: Int16Array, u1: Uint8Array, u2: Uint16Array, u4: Uint32Array, f4: Float32Array };

// A blob's name without unpacking the rest, and the rest.
function unpack(data) {
  const length = new DataView(data.buffer, data.byteOffset, data.byteLength).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(data.subarray(4, 4 + length)));
  return {
    id: head.id,
    read() {
      const bytes = data.slice(4 + length).buffer;
      const blob = { id: head.id, ...head.texts };
      for (const [name, type, offset, count] of head.arrays) blob[name] = new ARRAYS[type](bytes, offset, count);
      return blob;
    },
  };
}
