import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parametersSchema } from './parameters.ts';
import { limits } from './limits.ts';
import { billedMs, costOf, formatCredits, isUnits, maxUnits, parseCredits, parseUnits, shareOf } from './money.ts';

const amount = fc.bigInt({ min: 0n, max: maxUnits });

describe('money', () => {
  test('amounts survive text and back, as base units and as credits', () => {
    fc.assert(fc.property(amount, (units) => parseUnits(units.toString()) === units));
    fc.assert(fc.property(fc.bigInt({ min: 0n, max: maxUnits - 1n }), (units) => parseCredits(formatCredits(units)) === units));
  });

  test('every amount has exactly one text', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom('0', '1', '9', '-', '+', '.', 'e', ' ') }),
        (text) => !isUnits(text) || parseUnits(text).toString() === text,
      ),
    );
  });

  test('refuses whatever is not an amount, hostile values too, with a bounded message', () => {
    const circular: unknown[] = [];
    circular.push(circular);
    for (const value of [undefined, null, 1, 1n, circular, {}, '１', '1\n', '9'.repeat(1e6), `${maxUnits + 1n}`]) {
      expect(() => parseUnits(value)).toThrow(
        expect.objectContaining({ code: 'invalid-amount', message: expect.stringMatching(/^.{1,120}$/) }),
      );
    }
  });

  test('shares never exceed the whole, whatever split the parameters permit', () => {
    const { relayBps, commissionBps, seedingBps } = parametersSchema.shape.split.shape;
    const most = [relayBps, commissionBps, seedingBps].map((bps) => bps.maxValue!);
    fc.assert(
      fc.property(amount, fc.tuple(...most.map((max) => fc.integer({ min: 0, max }))), (units, shares) => {
        const paid = shares.map((bps) => shareOf(units, bps)).reduce((sum, share) => sum + share, 0n);
        return paid <= units && shares.every((bps) => shareOf(units, bps) >= 0n);
      }),
    );
    expect(most.reduce((sum, bps) => sum + bps, 0)).toBeLessThan(10_000);
  });

  test('run time is billed in whole milliseconds, rounded up', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: limits.jobMicroseconds }), (runUs) => {
        const ms = billedMs(runUs);
        return Number.isSafeInteger(ms) && ms * 1000 >= runUs && (ms - 1) * 1000 < runUs;
      }),
    );
  });

  test('cost is billed milliseconds × memory × rate, exactly', () => {
    const runUs = fc.integer({ min: 0, max: limits.jobMicroseconds });
    const memory = fc.integer({ min: limits.memoryMiB.min, max: limits.memoryMiB.max });
    fc.assert(
      fc.property(runUs, memory, fc.bigInt({ min: 0n, max: limits.rate.max }), (run, memoryMiB, rate) => {
        expect(costOf(run, memoryMiB, rate)).toBe(BigInt(billedMs(run)) * BigInt(memoryMiB) * rate);
      }),
    );
    expect(Number.isSafeInteger(billedMs(limits.jobMicroseconds) * limits.memoryMiB.max)).toBe(true);
  });

  test('the dearest possible job costs far less than can exist', () => {
    expect(costOf(limits.jobMicroseconds, limits.memoryMiB.max, limits.rate.max) * 1000n).toBeLessThan(maxUnits);
  });
});
