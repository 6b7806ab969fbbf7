import { expect, test } from 'vitest';
import { coarsePacer, startPacer, type Pacer } from './pacer.ts';

/** How many of 100 ticks came less than 0.6 ms after the one before. */
async function closeTicks(pacer: Pacer): Promise<number> {
  let close = 0;
  let before = performance.now();
  for (let tick = 0; tick < 100; tick++) {
    await pacer.next();
    const now = performance.now();
    if (now - before < 0.6) close++;
    before = now;
  }
  return close;
}

test('a pacer ticks several times a millisecond, which timers cannot', async () => {
  const pacer = await startPacer(0.25);
  try {
    expect(await closeTicks(pacer)).toBeGreaterThan(20);
  } finally {
    await pacer.stop();
  }
  expect(await closeTicks(coarsePacer)).toBeLessThan(20);
});
