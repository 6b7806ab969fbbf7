import {
  accountId,
  allowanceId,
  canonical,
  costOf,
  formatCredits,
  functionId,
  isOrbError,
  jobId,
  labels,
  merkleLeaf,
  merklePath,
  merkleRoot,
  nodeId,
  parseCompleteManifest,
  parseCredits,
  parseManifest,
  parseUnits,
  rowsRoot,
  shareOf,
  statement,
  superNodeId,
  toHex,
  replicaId,
  versionId,
  xorDistance,
  type Json,
} from '../src/index.ts';
import { keyNumbers, keyOf, sampleIds, sampleManifest, vectorHash, vectorKey } from './sample.ts';

/** The code that a call is refused with. */
export function refusalOf(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    if (isOrbError(error)) return error.code;
    throw error;
  }
  throw new Error('not refused');
}

export function keyVectors(): Json {
  return {
    about: 'Private keys of the sample network: SHA-256 of the text. Everyone knows them.',
    keys: Object.entries(keyNumbers).map(([holder, number]) => ({
      holder,
      text: `orb vector key ${number}`,
      publicKey: vectorKey(number).publicKey,
    })),
  };
}

export function canonicalVectors(): Json {
  const texts = [
    '{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],"string":"\\u20ac$\\u000F\\u000aA\'\\u0042\\u0022\\u005c\\\\\\"\\/","literals":[null,true,false]}',
    '{"\\u20ac":"Euro Sign","\\r":"Carriage Return","\\ufb33":"Hebrew Letter Dalet With Dagesh","1":"One","\\ud83d\\ude00":"Emoji: Grinning Face","\\u0080":"Control","\\u00f6":"Latin Small Letter O With Diaeresis"}',
    '{"b":{"z":[],"a":{}},"a":[[1,[true,null]],["x"]],"":0}',
    '[-0,0,1e21,1e20,9007199254740991,1.5e-7,5e-324,1.7976931348623157e308]',
    '{"10":1,"9":2,"a":3,"B":4,"__proto__":{"constructor":1}}',
    '"\\u2028\\u2029\\u007f\\ud83d\\ude00"',
  ];
  return {
    about: 'RFC 8785. `json` is any JSON text of the value, `canonical` its one form.',
    values: texts.map((json) => ({ json, canonical: canonical(JSON.parse(json) as Json) })),
    refused: ['"\\ud800"', '{"\\udc00":1}', '["a\\ud83d"]'],
  };
}

export function idVectors(): Json {
  const { developer } = sampleIds;
  const key = keyOf('developer').publicKey;
  return {
    about: 'An id is SHA-256 of label, line feed, canonical JSON of the parts. Allowance ids are its first 32 digits.',
    account: { key, statement: text(labels.account, key), id: accountId(key) },
    node: {
      key: keyOf('node').publicKey,
      statement: text(labels.node, keyOf('node').publicKey),
      id: nodeId(keyOf('node').publicKey),
    },
    superNode: {
      key: keyOf('superNode').publicKey,
      statement: text(labels.superNode, keyOf('superNode').publicKey),
      id: superNodeId(keyOf('superNode').publicKey),
    },
    functions: [1, 2].map((incarnation) => ({
      owner: developer,
      name: 'hello',
      incarnation,
      statement: text(labels.function, [developer, 'hello', incarnation]),
      id: functionId(developer, 'hello', incarnation),
    })),
    allowance: {
      payer: developer,
      sequence: 2,
      statement: text(labels.allowance, [developer, 2]),
      id: allowanceId(developer, 2),
    },
    replica: {
      function: sampleIds.function,
      version: sampleIds.version,
      statement: text(labels.replica, [sampleIds.function, sampleIds.version]),
      id: replicaId(sampleIds.function, sampleIds.version),
    },
    job: { allowance: sampleIds.allowance, sequence: 7, id: jobId(sampleIds.allowance, 7) },
    distances: [
      ['node', 'function'],
      ['node', 'node'],
      ['superNode', 'version'],
    ].map((pair) => {
      const [a, b] = pair.map((name) => sampleIds[name as keyof typeof sampleIds]) as [string, string];
      return { a, b, distance: xorDistance(a, b) };
    }),
  };
}

function text(label: (typeof labels)[keyof typeof labels], value: Json): string {
  return new TextDecoder().decode(statement(label, value));
}

export function manifestVectors(): Json {
  const smallest = {
    v: 1,
    kind: 'bundle',
    runtime: 'deno-2',
    code: { sha256: vectorHash('code'), bytes: 1 },
    priceCap: '0',
  };
  const image = {
    ...smallest,
    kind: 'image',
    runtime: 'container',
    handler: 'http',
    image: `example.org/hello@sha256:${vectorHash('code')}`,
  };
  const wasm = { ...smallest, kind: 'wasm', runtime: 'wasi-1', concurrency: 1 };
  const inputs: Record<string, Json> = {
    'the smallest: defaults are filled in': smallest,
    'every supported field': {
      ...sampleManifest,
      handler: 'default',
      memoryMiB: 512,
      timeoutMs: 30_000,
      concurrency: 1,
      visibility: 'private',
      idempotent: true,
      deterministic: true,
      retries: 0,
      replicas: 64,
      isolation: 'namespaces',
    },
    'an image that serves': image,
    'an image whose server is asked for its health': { ...image, health: { path: '/healthz' } },
    'an image that is asked often': { ...image, health: { path: '/a?b=c', everySeconds: 1 } },
    'an image for each call': { ...image, handler: 'job', concurrency: 1, isolation: 'container' },
    WebAssembly: wasm,
    'hosts of the network': { ...smallest, network: ['public', 'example.org', 'api.example.org:8443'] },
    'secrets by name': { ...smallest, secrets: ['API_KEY', '_A1'] },
    'an environment': { ...smallest, env: { GREETING: 'hello, é', _a1: '' } },
  };
  const refused: Record<string, Json> = {
    'no price cap': { ...smallest, priceCap: undefined },
    'unknown field': { ...smallest, gpu: 1 },
    'memory below the limit': { ...smallest, memoryMiB: 63 },
    'memory with a fraction': { ...smallest, memoryMiB: 128.5 },
    'code hash in upper case': { ...smallest, code: { sha256: vectorHash('code').toUpperCase(), bytes: 1 } },
    'code larger than the limit': { ...smallest, code: { sha256: vectorHash('code'), bytes: 10_485_761 } },
    'price cap above the limit': { ...smallest, priceCap: '1000000001' },
    'price cap as a number': { ...smallest, priceCap: 1_000 },
    'own price without a paying caller': { ...smallest, ownPrice: '1' },
    'image reference for a bundle': { ...smallest, image: 'example.org/hello@sha256:00' },
    'quorum above replicas': { ...smallest, deterministic: true, verification: { replicas: 2, quorum: 3 } },
    'verification of what is not deterministic': { ...smallest, verification: { replicas: 2, quorum: 2 } },
    'label with a line break': { ...smallest, labels: { region: 'e\nu' } },
    'label with a lone surrogate': { ...smallest, labels: { region: '\ud800' } },
    'host named twice': { ...smallest, network: ['example.org', 'example.org'] },
    'host with a port that is none': { ...smallest, network: ['example.org:0'] },
    'host with a wildcard': { ...smallest, network: ['*.example.org'] },
    'network for WebAssembly': { ...wasm, network: ['example.org'] },
    'network for an image': { ...image, network: ['public'] },
    'what is deterministic and reaches the network': { ...smallest, network: ['public'], deterministic: true },
    'a secret with the network’s own prefix': { ...smallest, secrets: ['ORB_TOKEN'] },
    'health of an image for each call': { ...image, handler: 'job', concurrency: 1, health: { path: '/' } },
    'health of a bundle': { ...smallest, health: { path: '/' } },
    'health at what is no path': { ...image, health: { path: 'healthz' } },
    'health at a path with a line break': { ...image, health: { path: '/a\r\nb: c' } },
    'health asked all the time': { ...image, health: { path: '/', everySeconds: 0 } },
    'image of another digest': { ...image, image: `example.org/hello@sha256:${vectorHash('other')}` },
    'image without a digest': { ...image, image: 'example.org/hello:latest' },
    'image kind without an image': { ...image, image: null },
    'image that does not say how it answers': { ...image, handler: 'auto' },
    'image for each call with many at once': { ...image, handler: 'job', concurrency: 2 },
    'image run by Deno': { ...image, runtime: 'deno-2' },
    'bundle run as a container': { ...smallest, runtime: 'container' },
    'WebAssembly that runs many calls at once': { ...wasm, concurrency: 2 },
    'WebAssembly run by Deno': { ...wasm, runtime: 'deno-2' },
    'a secret in small letters': { ...smallest, secrets: ['token'] },
    'a secret that is a variable too': { ...smallest, secrets: ['A'], env: { A: '1' } },
    'an empty environment': { ...smallest, env: {} },
    'a variable of the network’s own': { ...smallest, env: { ORB_JOB: '1' } },
    'a variable with a name that is none': { ...smallest, env: { 'A-B': '1' } },
    'a variable with a NUL': { ...smallest, env: { A: 'a\0b' } },
    'an environment above the limit of bytes': { ...smallest, env: { A: 'é'.repeat(2_048) } },
    'paying caller, not supported yet': { ...smallest, payer: 'caller' },
    'runtime, not supported yet': { ...smallest, runtime: 'deno-3' },
  };
  return {
    about: 'A manifest as its author may write it, its canonical text with all defaults, and the version id: SHA-256 of that text.',
    accepted: Object.entries(inputs).map(([name, input]) => {
      const manifest = parseManifest(input);
      return { name, input, canonical: canonical(manifest as Json), versionId: versionId(manifest) };
    }),
    refused: Object.entries(refused).map(([name, input]) => ({
      name,
      input,
      code: refusalOf(() => parseManifest(input)),
    })),
    refusedInTransactions: [{ name: 'defaults left out', input: smallest, code: refusalOf(() => parseCompleteManifest(smallest)) }],
  };
}

export function moneyVectors(): Json {
  const costs = [
    [1, 64, 1n],
    [1_000, 128, 1_000n],
    [1_001, 128, 1_000n],
    [0, 128, 1_000n],
    [9_000_000_000, 10_240, 1_000_000_000n],
  ] as const;
  return {
    about: '1 credit = 10^9 base units. Cost = run time in milliseconds, rounded up, × MiB × rate. Shares are rounded down.',
    units: ['0', '1', '1000000000000000000000000'].map((value) => ({
      text: value,
      value: parseUnits(value).toString(),
    })),
    refusedUnits: ['', '-1', '01', '+1', '1.0', '1e3', ' 1', '0x1', '1000000000000000000000001', '99999999999999999999999999'].map(
      (value) => ({ text: value, code: refusalOf(() => parseUnits(value)) }),
    ),
    credits: ['0', '1', '12.5', '0.000000001', '999999999999999.999999999'].map((value) => ({
      credits: value,
      units: parseCredits(value).toString(),
      formatted: formatCredits(parseCredits(value)),
    })),
    refusedCredits: ['', '.5', '1.', '-1', '1e3', '0.0000000001', '1 000', '1000000000000000'].map((value) => ({
      credits: value,
      code: refusalOf(() => parseCredits(value)),
    })),
    costs: costs.map(([runUs, memoryMiB, rate]) => ({
      runUs,
      memoryMiB,
      rate: rate.toString(),
      cost: costOf(runUs, memoryMiB, rate).toString(),
    })),
    shares: [
      [1n, 9_999],
      [12_345n, 1_000],
      [10_000n, 1],
      [9_999n, 10_000],
    ].map(([units, bps]) => ({
      units: String(units),
      bps: Number(bps),
      share: shareOf(units as bigint, bps as number).toString(),
    })),
  };
}

export function merkleVectors(): Json {
  const contents = Array.from({ length: 9 }, (_, i) => `leaf ${i}`);
  const leaves = contents.map(merkleLeaf);
  const rows = Array.from({ length: 19 }, (_, i) => `["row",${i}]`);
  return {
    about:
      'RFC 6962 section 2.1: leaf = SHA-256(00 ‖ content), node = SHA-256(01 ‖ left ‖ right). Roots of rows: 8 rows a leaf, joined by line feeds.',
    contents,
    leaves: leaves.map(toHex),
    trees: [0, 1, 2, 3, 4, 5, 8, 9].map((size) => {
      const tree = leaves.slice(0, size);
      return { size, root: merkleRoot(tree), paths: tree.map((_, index) => merklePath(tree, index)) };
    }),
    rows: [1, 8, 9, 19].map((count) => ({ rows: rows.slice(0, count), root: rowsRoot(rows.slice(0, count)) })),
  };
}
