import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { checkTranscript, linkAcceptSchema, linkConfirmSchema, linkHelloSchema, linkRoles } from './link-handshake.ts';

const vectors = JSON.parse(readFileSync(new URL('../vectors/link-handshake.json', import.meta.url), 'utf8'));
const { transcript, accept, confirm } = vectors;

describe('link handshake', () => {
  test('both signatures of the vectors prove their side', () => {
    expect(() => checkTranscript('accept', transcript, accept)).not.toThrow();
    expect(() => checkTranscript('confirm', transcript, confirm)).not.toThrow();
  });

  test('reflected, replayed, carried over, role-changed, swapped and foreign handshakes are refused as the vectors say', () => {
    expect(vectors.refused.length).toBeGreaterThan(7);
    for (const { name, step, transcript: given, signature } of vectors.refused) {
      expect(() => checkTranscript(step, given, signature), name).toThrow(expect.objectContaining({ code: 'link-refused' }));
    }
  });

  test('changing any one field of the transcript breaks both signatures', () => {
    for (const side of ['dialler', 'listener'] as const) {
      for (const [field, value] of [
        ['nonce', '0'.repeat(64)],
        ['role', 'client'],
        ['key', '1'.repeat(64)],
        ['v', 2],
      ] as const) {
        const changed = { ...transcript, [side]: { ...transcript[side], [field]: value } };
        expect(() => checkTranscript('accept', changed, accept), `${side}.${field}`).toThrow('could not prove');
        expect(() => checkTranscript('confirm', changed, confirm), `${side}.${field}`).toThrow('could not prove');
      }
    }
    for (const exporter of ['0'.repeat(64), ''])
      expect(() => checkTranscript('confirm', { ...transcript, exporter }, confirm)).toThrow('could not prove');
  });

  test('messages of any other shape are refused', () => {
    const hello = transcript.dialler;
    for (const role of linkRoles) expect(linkHelloSchema.safeParse({ ...hello, role }).success).toBe(true);
    const bad = [
      {},
      null,
      { ...hello, v: 2 },
      { ...hello, role: 'toString' },
      { ...hello, extra: 1 },
      { ...hello, key: hello.key.toUpperCase() },
      JSON.parse(JSON.stringify(hello).replace('{', '{"__proto__":1,')),
    ];
    for (const value of bad) expect(linkHelloSchema.safeParse(value).success).toBe(false);
    expect(linkAcceptSchema.safeParse({ ...transcript.listener, signature: accept }).success).toBe(true);
    for (const signature of ['', accept.toUpperCase(), undefined])
      expect(linkAcceptSchema.safeParse({ ...transcript.listener, signature }).success).toBe(false);
    expect(linkConfirmSchema.safeParse({ signature: confirm, more: 1 }).success).toBe(false);
  });
});
