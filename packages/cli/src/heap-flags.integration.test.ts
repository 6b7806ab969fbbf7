import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

/** A process in which objects grow old before they are let go of, as under a flood. Says how much it needed and how large its heap became, MiB. */
const flood = (setUp: string) => `
  ${setUp}
  const { getHeapSpaceStatistics, setFlagsFromString } = await import('node:v8');
  const { runInNewContext } = await import('node:vm');
  setFlagsFromString('--expose-gc');
  const space = (name, what) => getHeapSpaceStatistics().find(({ space_name }) => space_name === name)[what] / 2 ** 20;
  const held = Array.from({ length: 1_000_000 }, (_, i) => ({ i, text: [i, i] }));
  runInNewContext('gc')();
  const needed = space('old_space', 'space_used_size');
  let most = 0;
  for (let i = 0; i < 6_000_000; i++) {
    held[(i * 7_919) % held.length] = { i, text: [i, i] };
    if (i % 10_000 === 0) most = Math.max(most, space('old_space', 'space_used_size'));
  }
  console.log(JSON.stringify({ needed, most }));
`;

async function run(setUp: string): Promise<{ readonly needed: number; readonly most: number }> {
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', flood(setUp)], { timeout: 60_000 });
  return JSON.parse(stdout) as { needed: number; most: number };
}

test('old objects do not become many times what is needed before V8 lets go of them', async () => {
  const module = new URL('./heap-flags.ts', import.meta.url).href;
  const { needed, most } = await run(`(await import(${JSON.stringify(module)})).setHeapFlags();`);
  // The limit is twice; marking begins there and lets the process go on meanwhile. Without the flag it is more than five times.
  expect(most).toBeLessThan(4 * needed);
});
