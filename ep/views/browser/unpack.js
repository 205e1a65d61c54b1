// Reads a blob of named arrays and texts. Layout (see pack() in ep/views/blob.py): the length of a
// JSON header as uint32, the header, then the arrays that it lists.

const ARRAYS = { i2: Int16Array, u1: Uint8Array, u2: Uint16Array, u4: Uint32Array, f4: Float32Array };

// The blob's name, and a function that unpacks the rest.
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
