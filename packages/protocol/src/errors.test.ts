import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { errorsReference } from '../reference/errors-reference.ts';
import { asOrbError, errorFromBody, errorTable, isErrorCode, isOrbError, OrbError, type ErrorCode } from './errors.ts';

describe('errors', () => {
  test('docs/reference/errors.md is what the table says: regenerate it with packages/protocol/reference/errors-reference.ts', () => {
    expect(readFileSync(new URL('../../../docs/reference/errors.md', import.meta.url), 'utf8')).toBe(errorsReference());
  });

  test('every code has a status of its kind: faults of callers are 4xx, of others 5xx or the link’s and ledger’s own', () => {
    for (const [code, { status, faultOf, message, retryable }] of Object.entries(errorTable)) {
      expect(code).toMatch(/^[a-z]+(-[a-z]+)*$/);
      expect(message, code).toMatch(/\.$/);
      if (faultOf === 'caller') expect(status, code).toBeLessThan(500);
      if (faultOf === 'function') expect([502, 504, 508], code).toContain(status);
      if (status === 503) expect(retryable, code).toBe(true);
    }
  });

  test('an error crosses a boundary and comes back the same, without stack and cause', () => {
    const error = new OrbError('no-node-fits', {
      message: 'No node has 512 MiB.',
      hint: 'Ask for less.',
      retryAfterMs: 1_500,
      details: { memoryMiB: 512 },
      cause: new Error('secret'),
    });
    const text = JSON.stringify(error);
    expect(text).not.toContain('secret');
    expect(text).not.toContain('.ts');
    const back = errorFromBody(JSON.parse(text));
    expect(back.toJSON()).toEqual(error.toJSON());
    expect([back.status, back.faultOf, back.retryable]).toEqual([503, 'network', true]);
  });

  test('whatever a peer sends as an error, one of ours comes out, with bounded plain words', () => {
    const deep = JSON.parse(`${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}`);
    const circular: Record<string, unknown> = {};
    circular['self'] = circular;
    const hostile: unknown[] = [
      undefined,
      null,
      1,
      'x',
      [],
      { code: 'constructor' },
      { code: '__proto__' },
      { code: ['internal'] },
      { code: 'internal', details: deep },
      { details: circular },
      { details: 1n },
      { details: [1] },
      { details: { big: 'x'.repeat(10_000) } },
      { message: { toString: () => 'x' } },
      { retryAfterMs: -1 },
      { retryAfterMs: Number.NaN },
      { retryAfterMs: '5' },
      JSON.parse('{"__proto__":{"code":"name-taken"}}'),
    ];
    for (const body of hostile) {
      const error = errorFromBody(body);
      expect(error.code).toBe('internal');
      expect(error.details).toBeUndefined();
      expect(error.retryAfterMs).toBeUndefined();
    }
    const long = errorFromBody({
      code: 'name-taken',
      message: 'm'.repeat(1e6),
      hint: 'h'.repeat(1e6),
      retryAfterMs: 1e300,
    });
    expect(long.message).toHaveLength(2_048);
    expect(long.hint).toHaveLength(2_048);
    expect(long.retryAfterMs).toBe(86_400_000);
  });

  test('a peer’s words cannot command a terminal or turn the direction of text', () => {
    const { message } = errorFromBody({ code: 'internal', message: 'a\u001b[2Jb\u0007\u009bc\u202ed\ne\tf\ud800' });
    expect(message).toBe('a [2Jb  c d\ne\tf\ufffd');
  });

  test('errors are recognised by brand and code, and foreign ones become internal with their cause', () => {
    expect(isOrbError(new OrbError('gone'))).toBe(true);
    expect(isOrbError(Object.assign(new Error('x'), { name: 'OrbError', code: 'gone' }))).toBe(true);
    expect(isOrbError(Object.assign(new Error('x'), { name: 'OrbError', code: 'nothing-of-ours' }))).toBe(false);
    expect(isOrbError({ name: 'OrbError', code: 'gone' })).toBe(false);
    const cause = new TypeError('x');
    expect(asOrbError(cause)).toMatchObject({ code: 'internal', cause });
    expect(asOrbError('text').code).toBe('internal');
    for (const name of ['toString', 'constructor', '__proto__', '', undefined, 1]) expect(isErrorCode(name)).toBe(false);
    for (const code of Object.keys(errorTable)) expect(new OrbError(code as ErrorCode).message).not.toBe('');
  });
});
