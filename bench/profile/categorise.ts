/** Where V8's sampler saw a function. */
export interface CallFrame {
  readonly functionName: string;
  readonly url: string;
}

/**
 * What a frame's self time is spent on, for people to read. The first rule that matches counts. Undefined is time off
 * the processor. Sampled by name and file: native functions have no file, so they are known by their names alone.
 */
export function categoryOf({ functionName, url }: CallFrame): string | undefined {
  if (functionName === '(idle)' || functionName === '(root)') return undefined;
  return rules.find(({ name, file }) => (name?.test(functionName) ?? true) && (file?.test(url) ?? true))?.category ?? 'other';
}

interface Rule {
  readonly category: string;
  readonly name?: RegExp;
  readonly file?: RegExp;
}

const native = /^$/;

const rules: readonly Rule[] = [
  { category: 'garbage collection', name: /^\(garbage collector\)$/ },
  {
    category: 'writing to sockets and files',
    name: /^(writev|writeBuffer|writeBuffers|writeUtf8String|writeLatin1String|writeAsciiString|write|fsync|fdatasync|shutdown)$/,
    file: native,
  },
  { category: 'TLS', file: /^node:(_tls|tls|internal\/tls)/ },
  { category: 'hashing and signatures', name: /(hash|digest|sign|verify|sha256|hmac|crypto|ed25519|sodium)/i, file: native },
  { category: 'hashing and signatures', file: /(node:internal\/crypto|node:crypto|sodium-native|@noble|\/crypto\/|merkle)/ },
  { category: 'JSON', name: /^(parse|stringify)$/, file: native },
  { category: 'JSON', file: /(canonical|canonicalize|fast-json-stringify|secure-json-parse)/ },
  { category: 'checking formats', file: /(\/zod\/|\/ajv\/|protocol\/src\/schema)/ },
  { category: 'HTTP', file: /(node:_http|node:http|node:internal\/http|fastify|find-my-way|light-my-request|avvio)/ },
  { category: 'HTTP', name: /^(HTTPParser|execute|consume|getHeaderValue)$/, file: native },
  { category: 'WebSocket', file: /\/node_modules\/ws\// },
  { category: 'socket.io', file: /(socket\.io|engine\.io|component-emitter|\/debug\/)/ },
  { category: 'streams and sockets', file: /^node:(net|internal\/stream|stream|internal\/streams|_stream)/ },
  { category: 'buffers and text', file: /^node:(buffer|internal\/buffer|string_decoder|internal\/encoding)/ },
  {
    category: 'buffers and text',
    name: /^(copy|slice|utf8Slice|latin1Slice|hexSlice|asciiSlice|ucs2Slice|base64Slice|utf8Write\w*|latin1Write\w*|hexWrite|byteLengthUtf8|compare\w*|fill|encodeInto\w*|toString|decode\w*)$/,
    file: native,
  },
  { category: 'timers', file: /^node:(timers|internal\/timers|internal\/priority_queue|internal\/linkedlist)/ },
  {
    category: 'promises, ticks and events',
    file: /^node:(internal\/process\/task_queues|internal\/async_hooks|events|internal\/event|async_hooks|diagnostics_channel|internal\/promise)/,
  },
  { category: 'promises, ticks and events', name: /^(runMicrotasks|pushAsyncContext|popAsyncContext|enqueueMicrotask)$/ },
  { category: 'files', file: /^node:(fs|internal\/fs)/ },
  { category: 'loading modules', file: /^node:(internal\/modules|internal\/deps|internal\/bootstrap|internal\/process)/ },
  { category: 'Node and V8, native', name: /^\(program\)$/ },
  { category: 'checkpoint store', file: /(classic-level|abstract-level)/ },
  { category: 'Orb: link', file: /packages\/link\// },
  { category: 'Orb: ledger', file: /packages\/ledger\// },
  { category: 'Orb: sandbox', file: /packages\/sandbox\// },
  { category: 'Orb: protocol', file: /packages\/protocol\// },
  { category: 'Orb: settlement', file: /packages\/super-node\/src\/settlement\// },
  { category: 'Orb: super node', file: /packages\/super-node\// },
  { category: 'Orb: node', file: /packages\/node\// },
  { category: 'other packages', file: /node_modules/ },
  { category: 'bench', file: /\/bench\/(load|measure|orb|seed-hub|ws-hub)\/[^/]+$/ },
  { category: 'other Node', file: /^node:/ },
];
