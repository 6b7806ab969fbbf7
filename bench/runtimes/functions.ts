import { randomUUID } from 'node:crypto';
import { sha256, utf8, type Hex32 } from '@orb/protocol';
import { bundleFormat } from '@orb/sandbox';
import loadWabt from 'wabt';

/*
 * The function that every runtime has: a body comes back as it is; `/make?bytes=N` makes N bytes piece by piece, `/count`
 * counts those that it is sent.
 */
const handler = `
async function* make(bytes) {
  const piece = new Uint8Array(65536).fill(120);
  for (let left = bytes; left > 0; left -= piece.length) yield left < piece.length ? piece.subarray(0, left) : piece;
}
`;

const bundle = `${handler}
module.exports = {
  default: {
    async fetch(request) {
      const { pathname, searchParams } = new URL(request.url);
      if (pathname === '/make') return new Response(ReadableStream.from(make(Number(searchParams.get('bytes')))));
      if (pathname !== '/count') return Response.json(await request.json());
      let bytes = 0;
      for await (const piece of request.body) bytes += piece.length;
      return new Response(String(bytes));
    },
  },
};
`;

/** The same as a server of its own. */
export const server = `${handler}
require('node:http').createServer(async (request, response) => {
  const { pathname, searchParams } = new URL(request.url, 'http://localhost');
  if (pathname === '/make') return require('node:stream').Readable.from(make(Number(searchParams.get('bytes')))).pipe(response);
  let bytes = 0;
  let text = '';
  for await (const piece of request) {
    bytes += piece.length;
    if (pathname !== '/count') text += piece;
  }
  response.end(pathname === '/count' ? String(bytes) : JSON.stringify(JSON.parse(text)));
}).listen(Number(process.env.PORT));
`;

/** As WebAssembly: gives its input back. */
const echoModule = `(module
  (memory (export "memory") 32)
  (func (export "orb_alloc") (param i32) (result i32) (i32.const 1024))
  (func (export "handle") (param $at i32) (param $bytes i32) (result i64)
    (i64.or (i64.shl (i64.extend_i32_u (local.get $at)) (i64.const 32)) (i64.extend_i32_u (local.get $bytes)))))`;

/** What a sandbox is given besides its kind. */
interface Code {
  readonly sha256: Hex32;
  readonly code: Uint8Array;
  readonly handler: string;
  readonly startTimeoutMs: number;
}

/** Of a bundle with a library or two. */
const largeBytes = 100_000;

/** Functions as libraries hold them, all of which are read and few of which are ever called. */
const library = Array.from(
  { length: Math.ceil((largeBytes - bundle.length) / 205) },
  (_, i) => `
function part${String(i).padStart(4, '0')}(input, options = {}) {
  const { deep = true, limit = ${i + 10_000} } = options;
  if (!deep || input.length > limit) return input.slice(0, limit);
  return input.map((item) => ({ ...item }));
}`,
).join('');

/**
 * The bundle, unlike every other: nothing that was started before can be used again.
 * @param size `large`: 100 KB
 */
export function newBundle(size: 'small' | 'large'): Code {
  return codeOf(utf8(`${bundleFormat('commonjs').banner.js}\n/* ${randomUUID()} */${size === 'large' ? library : ''}${bundle}`));
}

/** The module, unlike every other by a section of its own. */
export async function newModule(): Promise<Code> {
  const wabt = await loadWabt();
  const module = wabt.parseWat('echo.wat', echoModule);
  try {
    const id = utf8(randomUUID());
    // A custom section (number 0) has a length, the length of its name, its name, and anything.
    return codeOf(Buffer.concat([new Uint8Array(module.toBinary({}).buffer), Uint8Array.of(0, id.length + 1, id.length), id]));
  } finally {
    module.destroy();
  }
}

function codeOf(code: Uint8Array): Code {
  return { code, sha256: sha256(code), handler: 'auto', startTimeoutMs: 60_000 };
}
