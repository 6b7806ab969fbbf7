import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';

const main = fileURLToPath(new URL('main.ts', import.meta.url));
let child: ChildProcess | undefined;
afterEach(() => void child?.kill('SIGKILL'));

const linux = process.platform === 'linux';

test.skipIf(!linux)('a server on one core is the same process with fewer threads, and says what it has to say', async () => {
  child = spawn('taskset', ['-c', '0', process.execPath, main, 'supernode', 'start', '--config', '/nowhere.json'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr!.setEncoding('utf8').on('data', (text: string) => (said += text));
  const { pid } = child;
  const ended = once(child, 'exit');
  const commandLine = () => readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  await expect.poll(commandLine, { interval: 5, timeout: 20_000 }).toContain('--v8-pool-size=1');
  expect(commandLine()).toContain('/nowhere.json');
  expect((await ended)[0]).toBe(2);
  expect(said).toContain('/nowhere.json');
});
