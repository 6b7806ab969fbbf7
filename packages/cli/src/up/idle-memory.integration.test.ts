import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

/** A process that works for a moment, leaves 200 MiB to the collector, and does nothing more. Says its resident MiB then, and some time later. */
const worker = (module: string, everyMs: number, waitMs: number) => `
  import { giveBackIdleMemory } from ${JSON.stringify(module)};
  const looking = giveBackIdleMemory(${everyMs});
  const resident = () => Math.round(process.memoryUsage.rss() / 2 ** 20);
  let kept = [];
  for (const until = performance.now() + ${3 * everyMs}; performance.now() < until; await new Promise(setImmediate)) {
    for (let i = 0; i < 10_000 && kept.length < 1_500_000; i++) kept.push({ i, text: [i] });
  }
  kept = undefined;
  const worked = resident();
  setTimeout(() => {
    console.log(JSON.stringify({ worked, rested: resident() }));
    looking.stop();
  }, ${waitMs});
`;

async function run(everyMs: number, waitMs: number): Promise<{ readonly worked: number; readonly rested: number }> {
  const code = worker(new URL('./idle-memory.ts', import.meta.url).href, everyMs, waitMs);
  // V8's own reducer is off: it comes by itself at rest, but not every time.
  const flags = ['--no-memory-reducer', '--input-type=module', '--eval', code];
  const { stdout } = await promisify(execFile)(process.execPath, flags, { timeout: 60_000 });
  return JSON.parse(stdout) as { worked: number; rested: number };
}

test('what a process has filled while it worked goes back to the system when it is calm', async () => {
  const { worked, rested } = await run(300, 6_000);
  expect(worked).toBeGreaterThan(200);
  expect(rested).toBeLessThan(worked / 2);
});
