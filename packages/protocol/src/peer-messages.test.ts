import { describe, expect, test } from 'vitest';
import { createSigner, sha256 } from '#crypto';
import { superNodeId } from './ids.ts';
import { limits } from './limits.ts';
import {
  checkPresence,
  decodeSeeds,
  encodeSeeds,
  presenceListBytes,
  presenceSchema,
  signPresence,
  signedPresenceSchema,
  type Presence,
} from './peer-messages.ts';

const signer = createSigner(sha256('orb vector 1'));
const chain = sha256('chain');
const superNode = superNodeId(signer.publicKey);
const presence: Presence = {
  v: 1,
  chain,
  superNode,
  sequence: 7,
  expires: 1_800_000_000_000,
  freeSlots: 3,
  running: 1,
  waiting: 0,
  answerMs: null,
  seeds: sha256(new Uint8Array()),
};
const check = { chain, superNode, key: signer.publicKey, after: 6 };

describe('a presence', () => {
  test('holds when its super node signed it for this network with a number that rises', () => {
    expect(presenceSchema.parse(presence)).toEqual(presence);
    expect(() => checkPresence(signPresence(presence, signer), check)).not.toThrow();
  });

  test.each([
    ['replayed', presence, { ...check, after: 7 }],
    ['of another network', presence, { ...check, chain: sha256('other') }],
    ['of another super node', presence, { ...check, superNode: sha256('other') }],
    ['signed by another key', presence, { ...check, key: createSigner(sha256('orb vector 2')).publicKey }],
  ])('%s is refused', (_, told, against) => {
    expect(() => checkPresence(signPresence(told, signer), against)).toThrow(expect.objectContaining({ code: 'protocol-violation' }));
  });

  test('of a later version holds as it was sent: what this one does not know is signed too', () => {
    const later = signPresence({ ...presence, regions: ['eu'] }, signer);
    const read = signedPresenceSchema.parse(JSON.parse(JSON.stringify(later)));
    expect(() => checkPresence(read, check)).not.toThrow();
  });

  test('changed after it was signed is refused', () => {
    const { signature } = signPresence(presence, signer);
    expect(() => checkPresence({ presence: { ...presence, freeSlots: 9_999 }, signature }, check)).toThrow('not signed');
  });
});

describe('a list of versions', () => {
  const list = encodeSeeds(new Map([1, 2, 3].map((i) => [sha256(`${i}`), i * 300])));

  test('comes back as it went, in one order whatever order it was made in', () => {
    expect(decodeSeeds(list, sha256(list))).toEqual(new Map([1, 2, 3].map((i) => [sha256(`${i}`), i * 300])));
    expect(encodeSeeds(new Map([3, 1, 2].map((i) => [sha256(`${i}`), i * 300])))).toEqual(list);
  });

  test('cut short, out of order, with another hash or too long is refused', () => {
    const cut = list.subarray(0, 40);
    const turned = new Uint8Array([...list.subarray(34), ...list.subarray(0, 34)]);
    for (const [bytes, hash] of [
      [cut, sha256(cut)],
      [turned, sha256(turned)],
      [list, sha256('other')],
      [new Uint8Array(presenceListBytes + 34), sha256(new Uint8Array(presenceListBytes + 34))],
    ] as const)
      expect(() => decodeSeeds(bytes, hash)).toThrow(expect.objectContaining({ code: 'protocol-violation' }));
  });

  test('never has more versions than the limit', () => {
    const many = new Map(Array.from({ length: limits.presenceEntries + 5 }, (_, i) => [sha256(`${i}`), 1] as const));
    expect(decodeSeeds(encodeSeeds(many), sha256(encodeSeeds(many))).size).toBe(limits.presenceEntries);
  });
});
