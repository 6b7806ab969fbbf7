import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { checkEpochs, checkOrder, checkOrdererChange, epochOf, firstEpoch, ordererCertificateSchema } from './orderer-change.ts';
import { keyOf, sampleGenesis, sampleIds } from '../vectors/sample.ts';
import { sampleCertificate } from '../vectors/sample-orderer-change.ts';
import { stateRootFrom } from './state-record.ts';

const vectors = JSON.parse(readFileSync(new URL('../vectors/orderer-change.json', import.meta.url), 'utf8'));
const first = firstEpoch(sampleGenesis);
const by = { chain: sampleIds.chain, treasuryKey: sampleGenesis.treasuryKey };

describe('a change of the orderer', () => {
  test('holds with more than two thirds of the peers that the state lists, and says who orders from where on', () => {
    const certificate = ordererCertificateSchema.parse(vectors.certificate);
    expect(checkOrdererChange(certificate, first, by)).toEqual(vectors.says);
    expect(vectors.says).toMatchObject({ epoch: 2, since: 42, by: 'peers', signed: 3, needed: 3, of: 3, planned: true });
    const unplanned = { ...certificate, votes: certificate.votes.slice(0, 3) };
    expect(checkOrdererChange(unplanned, first, by).planned).toBe(false);
  });

  test.each(vectors.refused as { name: string; certificate: never; code: string }[])(
    'does not hold with $name',
    ({ certificate, code }) => {
      expect(code).toBe('bad-signature');
      expect(() => checkOrdererChange(certificate, first, by)).toThrow(expect.objectContaining({ code }));
    },
  );

  test('is nothing to whoever knows another orderer before, another ledger or another treasury', () => {
    expect(() => checkOrdererChange(sampleCertificate, { ...first, key: keyOf('other').publicKey }, by)).toThrow(
      'did not sign the block before',
    );
    expect(() => checkOrdererChange(sampleCertificate, { ...first, since: 42 }, by)).toThrow('not of the epoch before');
    expect(() => checkOrdererChange(sampleCertificate, { ...first, epoch: 2 }, by)).toThrow('does not come after 2');
    expect(() => checkOrdererChange(sampleCertificate, first, { ...by, chain: 'ab'.repeat(32) })).toThrow('of another ledger');
  });

  test('makes a row of epochs, in which each block has one orderer', () => {
    const epochs = checkEpochs(sampleGenesis, sampleIds.chain, [sampleCertificate]);
    expect(epochOf({ epoch: 1, height: 41 }, epochs)?.key).toBe(sampleGenesis.ordererKey);
    expect(epochOf({ epoch: 2, height: 42 }, epochs)?.key).toBe(keyOf('superNode').publicKey);
    // What the orderer before signs above it, the new one below it, anybody in an epoch that nobody began.
    for (const block of [
      { epoch: 1, height: 42 },
      { epoch: 2, height: 41 },
      { epoch: 3, height: 50 },
    ]) {
      expect(epochOf(block, epochs)).toBeUndefined();
    }
    expect(() => checkEpochs(sampleGenesis, sampleIds.chain, [sampleCertificate, sampleCertificate])).toThrow('does not come after 2');
  });

  test('its records lead to the state root by hand', () => {
    const sha256 = (...parts: Buffer[]) => createHash('sha256').update(Buffer.concat(parts)).digest();
    const { records, header } = vectors.certificate.stand;
    for (const { key, text, path } of records) {
      const place = sha256(Buffer.from(key));
      let hash = sha256(Buffer.of(0), place, sha256(Buffer.from(text)));
      for (let depth = path.length - 1; depth >= 0; depth--) {
        const sibling = Buffer.from(path[depth], 'hex');
        const bit = (place[Math.floor(depth / 8)]! >> (7 - (depth % 8))) & 1;
        hash = bit ? sha256(Buffer.of(1), sibling, hash) : sha256(Buffer.of(1), hash, sibling);
      }
      expect(hash.toString('hex')).toBe(header.state);
      expect(stateRootFrom({ key, text, path })).toBe(header.state);
    }
  });

  test('an operator’s order is his own, for one peer and one epoch', () => {
    expect(checkOrder(vectors.order)).toEqual(vectors.order.order);
    for (const change of [{ epoch: 3 }, { peer: 'ab'.repeat(32) }, { change: null }, { chain: 'ab'.repeat(32) }]) {
      expect(() => checkOrder({ ...vectors.order, order: { ...vectors.order.order, ...change } })).toThrow(
        expect.objectContaining({ code: 'bad-signature' }),
      );
    }
  });
});
