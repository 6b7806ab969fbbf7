import { createContext, runInContext } from 'node:vm';
import { build } from 'esbuild';
import { expect, test } from 'vitest';
import { createSigner, labels, signRequest, statement } from '../index.ts';

test('the whole package bundles for browsers without Node and gives the same bytes and answers there', async () => {
  const result = await build({
    entryPoints: [new URL('../index.ts', import.meta.url).pathname],
    bundle: true,
    write: false,
    metafile: true,
    format: 'iife',
    globalName: 'orb',
    platform: 'browser',
    conditions: ['browser'],
    logLevel: 'silent',
  });
  expect(result.warnings).toEqual([]);
  const inputs = Object.keys(result.metafile.inputs);
  expect(inputs.filter((path) => path.startsWith('node:') || path.includes('sodium') || path.endsWith('crypto/node.ts'))).toEqual([]);
  const text = result.outputFiles[0]!.text;
  expect(text).not.toMatch(/\brequire\(|\bfrom ["']node:|\bBuffer\./);

  const context = createContext({
    TextEncoder,
    TextDecoder,
    URL,
    atob,
    btoa,
    crypto: globalThis.crypto,
    BigInt,
    Uint8Array,
  });
  runInContext(text, context);
  const signer = createSigner('11'.repeat(32));
  const chain = '22'.repeat(32);
  const request = { method: 'POST', url: 'https://gateway.example/v1/faucet', body: new TextEncoder().encode('{}') };
  const headers = signRequest(request, chain, signer, 1_763_600_000_000, 'ab'.repeat(16));
  const inBrowser = runInContext('(request, headers, chain) => orb.checkSignedRequest(request, headers, chain, 1763600000000)', context);
  expect(inBrowser(request, headers, chain)).toEqual({
    key: signer.publicKey,
    nonce: 'ab'.repeat(16),
    createdMs: 1_763_600_000_000,
  });
  const bytes = runInContext('orb.toHex(orb.statement(orb.labels.account, { b: 1, a: "é" }))', context);
  expect(bytes).toBe(Buffer.from(statement(labels.account, { b: 1, a: 'é' })).toString('hex'));
});
