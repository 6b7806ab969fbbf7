import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { limits } from '@orb/protocol';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { TokenBook } from './token-book.ts';

const account = 'a'.repeat(64);
const key = 'b'.repeat(64);
let folder: string;
let now = 1_000_000_000_000;
const open = () => new TokenBook({ folder }, { nowMs: () => now });
const asked = (more: object = {}) => ({ functions: '*' as const, expiresMs: now + 3_600_000, label: '', ...more });

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'orb-tokens-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

test('a token outlives a restart with the same secret, and no file holds the secret', () => {
  const { token, secret } = open().create(account, key, asked({ functions: ['bob/hello'] }));
  expect(token.id).toMatch(/^ORB[A-Z2-7]{17}$/);
  const book = open();
  expect(book.find(token.id)).toEqual(token);
  expect(book.secretOf(token)).toBe(secret);
  for (const file of ['tokens.jsonl', 'tokens.key']) {
    expect(readFileSync(join(folder, file), 'utf8')).not.toContain(secret);
    expect(statSync(join(folder, file)).mode & 0o777).toBe(0o600);
  }
});

test('whoever changes a record, say to a wider scope, has a token without its secret', () => {
  const { token, secret } = open().create(account, key, asked({ functions: ['bob/hello'] }));
  const file = join(folder, 'tokens.jsonl');
  writeFileSync(file, readFileSync(file, 'utf8').replace('["bob/hello"]', '"*"'));
  const book = open();
  expect(book.find(token.id)).toMatchObject({ functions: '*' });
  expect(book.secretOf(book.find(token.id)!)).not.toBe(secret);
});

test('a token ends when it expires or is revoked, by its own account alone', () => {
  const book = open();
  const { token } = book.create(account, key, asked());
  const other = book.create(account, key, asked({ expiresMs: now + 7_200_000 })).token;
  expect(() => book.revoke('c'.repeat(64), token.id)).toThrow(/has no token/);
  book.revoke(account, token.id);
  expect([book.find(token.id), open().find(token.id)]).toEqual([undefined, undefined]);
  now += 7_200_001;
  expect([book.find(other.id), book.list(account)]).toEqual([undefined, []]);
  open();
  expect(readFileSync(join(folder, 'tokens.jsonl'), 'utf8')).toBe('');
});

test('the time and the number of tokens are bounded', () => {
  const book = open();
  for (const away of [0, limits.tokenMs.max + 1])
    expect(() => book.create(account, key, asked({ expiresMs: now + away }))).toThrow(/a minute to 366 days/);
  for (let i = 0; i < limits.tokensPerAccount; i++) book.create(account, key, asked());
  expect(() => book.create(account, key, asked())).toThrow(/has 100 tokens/);
  expect(book.create('c'.repeat(64), key, asked()).token.account).toBe('c'.repeat(64));
});

test('a line that a crash cut off is no token', () => {
  const { token } = open().create(account, key, asked());
  appendFileSync(join(folder, 'tokens.jsonl'), '{"v":1,"id":"ORB');
  expect(open().list(account)).toEqual([token]);
});
