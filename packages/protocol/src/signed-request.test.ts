import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { keyOf, sampleIds, sampleTime } from '../vectors/sample.ts';
import { fromHex, utf8 } from './bytes.ts';
import { limits } from './limits.ts';
import { checkSignedRequest, signRequest } from './signed-request.ts';

const vectors = JSON.parse(readFileSync(new URL('../vectors/signed-request.json', import.meta.url), 'utf8'));
const { chain } = sampleIds;
const signer = keyOf('developer');
const request = { method: 'POST', url: 'https://super.example/v1/code?x=1', body: utf8('body') };
const unauthenticated = expect.objectContaining({ name: 'OrbError', code: 'unauthenticated' });
type Shown = { method: string; url: string; bodyHex: string };
const requestOf = ({ method, url, bodyHex }: Shown) => ({ method, url, body: fromHex(bodyHex) });

describe('signed requests', () => {
  test('accepted and refused as the vectors say: forged method, path, query, body, authority, chain, time, nonce, key', () => {
    for (const { request: one, headers, chain: forChain, nowMs, identity } of vectors.accepted) {
      expect(checkSignedRequest(requestOf(one), headers, forChain, nowMs)).toEqual(identity);
    }
    expect(vectors.refused.length).toBeGreaterThan(10);
    for (const { name, request: one, headers, chain: forChain, nowMs } of vectors.refused) {
      expect(() => checkSignedRequest(requestOf(one), headers, forChain, nowMs), name).toThrow(unauthenticated);
    }
  });

  test('each signature has a fresh nonce, which the receiver is given to remember', () => {
    const nonces = Array.from({ length: 100 }, () => {
      const headers = signRequest(request, chain, signer, sampleTime);
      return checkSignedRequest(request, { ...headers }, chain, sampleTime).nonce;
    });
    expect(new Set(nonces).size).toBe(100);
  });

  test('a clock may be off by the stated skew and not by a second more', () => {
    const headers = { ...signRequest(request, chain, signer, sampleTime) };
    const skew = limits.signedRequestSkewMs;
    for (const now of [sampleTime - skew, sampleTime, sampleTime + skew])
      expect(checkSignedRequest(request, headers, chain, now).createdMs).toBe(sampleTime);
    for (const now of [sampleTime - skew - 1, sampleTime + skew + 1])
      expect(() => checkSignedRequest(request, headers, chain, now)).toThrow(unauthenticated);
  });

  test('a URL is refused when it is not exactly what was signed', () => {
    const headers = { ...signRequest({ ...request, url: 'https://super.example/v1/a' }, chain, signer, sampleTime) };
    expect(checkSignedRequest({ ...request, url: 'https://super.example/v1/a' }, headers, chain, sampleTime).key).toBe(signer.publicKey);
    const others = ['/v1/./a', '/v1/b/../a', '/v1/%2e/a', '/v1/b/%2E%2e/a', '//v1/a', '/v1\\a', '/v1/a#x', '/v1/a?', '/v1/\ta', ' /v1/a'];
    for (const path of others)
      expect(() => checkSignedRequest({ ...request, url: `https://super.example${path}` }, headers, chain, sampleTime), path).toThrow(
        unauthenticated,
      );
    for (const url of [
      '',
      'x',
      '/v1/a',
      'https://user@super.example/v1/a',
      'https://super.example:8443/v1/a',
      'ftp://super.example/v1/a',
    ]) {
      expect(() => checkSignedRequest({ ...request, url }, headers, chain, sampleTime), url).toThrow(unauthenticated);
    }
  });

  test('a method that could forge a line of the signature base is refused', () => {
    const headers = { ...signRequest(request, chain, signer, sampleTime) };
    for (const method of ['', 'POST\n"@authority": x', 'PO ST', 'X'.repeat(33)]) {
      expect(() => checkSignedRequest({ ...request, method }, headers, chain, sampleTime)).toThrow(unauthenticated);
    }
  });

  test('headers of any other form are refused, quickly', () => {
    const good = { ...signRequest(request, chain, signer, sampleTime) };
    const input = good['signature-input'];
    const inputs = [
      '',
      'orb=',
      `sig1=${input.slice(4)}`,
      `${input};expires=1`,
      `${input}, other=()`,
      input.replace('alg="ed25519"', 'alg="hmac-sha256"'),
      input.replace('"@method"', '"@method";req'),
      input.replace('created=', 'created=-'),
      `orb=(${'('.repeat(1e5)}`,
      `orb=(${');created=1'.repeat(1e4)}`,
      `orb=(${'x'.repeat(200)});created=1`,
      input.toUpperCase(),
    ];
    const started = performance.now();
    for (const one of inputs)
      expect(() => checkSignedRequest(request, { ...good, 'signature-input': one }, chain, sampleTime), one.slice(0, 80)).toThrow(
        unauthenticated,
      );
    const signature = good.signature;
    for (const one of [
      '',
      'orb=::',
      signature.slice(0, -3),
      `${signature}x`,
      signature.replace('orb=', 'sig='),
      `orb=:${'A'.repeat(86)}==:`,
      'orb=:'.repeat(1e5),
    ]) {
      expect(() => checkSignedRequest(request, { ...good, signature: one }, chain, sampleTime)).toThrow(unauthenticated);
    }
    expect(() => checkSignedRequest(request, {}, chain, sampleTime)).toThrow(unauthenticated);
    expect(performance.now() - started).toBeLessThan(1_000);
  });
});
