// The limit of the sandbox's engine: Deno without a permission takes frames on standard input, parses each as JSON, calls
// the function, and sends its answer back. No harness, no checks, no limits. A frame is its length (32 bits, little
// endian) and that many bytes.
const fn = (input) => input;

const input = Deno.stdin.readable.getReader();
const output = Deno.stdout.writable.getWriter();
const decoder = new TextDecoder();
const encoder = new TextEncoder();
let rest = new Uint8Array(0);
for (;;) {
  const { value, done } = await input.read();
  if (done) break;
  const { frames, left } = cut(joined([rest, value]));
  rest = left;
  // Answers to what came together leave together, as the harness does it.
  if (frames.length > 0) await output.write(joined(frames.map(answer)));
}

function answer(bytes) {
  const body = encoder.encode(JSON.stringify(fn(JSON.parse(decoder.decode(bytes)))));
  const frame = new Uint8Array(4 + body.length);
  new DataView(frame.buffer).setUint32(0, body.length, true);
  frame.set(body, 4);
  return frame;
}

/** The bodies of the frames that are here whole, and what is left. */
function cut(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const frames = [];
  let at = 0;
  while (at + 4 <= bytes.length) {
    const end = at + 4 + view.getUint32(at, true);
    if (end > bytes.length) break;
    frames.push(bytes.subarray(at + 4, end));
    at = end;
  }
  return { frames, left: bytes.subarray(at) };
}

function joined(pieces) {
  const full = pieces.filter((piece) => piece.length > 0);
  if (full.length === 1) return full[0];
  const bytes = new Uint8Array(full.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of full) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}
