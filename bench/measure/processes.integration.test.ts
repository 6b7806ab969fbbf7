import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, expect, test } from 'vitest';
import { descendants, memoryUse, resident } from './processes.ts';

const linux = process.platform === 'linux';
let child: ChildProcess | undefined;
afterEach(() => void child?.kill('SIGKILL'));

test.skipIf(!linux)('children of children are found, and nobody else', async () => {
  // The shell has one child, and ends with it.
  child = spawn('sh', ['-c', 'cat; true'], { stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdin!.write('up\n');
  await once(child.stdout!, 'data');
  const found = descendants(process.pid).filter(({ pid }) => pid === child!.pid || descendants(child!.pid!).some((one) => one.pid === pid));
  expect(found.map(({ command }) => command[0])).toEqual(['sh', 'cat']);
  expect(descendants(child.pid!).map(({ command }) => command)).toEqual([['cat']]);
});

test.skipIf(!linux)('memory of a process grows by what it takes, and does not count the program’s file', () => {
  const before = resident(process.pid)!.ownMiB;
  const more = Buffer.alloc(64 * 2 ** 20, 1);
  const after = resident(process.pid)!.ownMiB;
  expect(after - before).toBeGreaterThan(60);
  expect(after).toBeLessThan(memoryUse(process.pid).rssKiB! / 1_024 - 10);
  expect(more.length).toBeGreaterThan(0);
});
