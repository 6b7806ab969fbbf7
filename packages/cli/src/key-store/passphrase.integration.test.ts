import { spawn, type ChildProcess } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { temporaryFolder } from '../../test/run-orb.ts';
import { TestGateway } from '../../test/test-gateway.ts';

const main = fileURLToPath(new URL('../main.ts', import.meta.url));
let gateway: TestGateway;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let child: ChildProcess | undefined;

beforeEach(async () => {
  gateway = await TestGateway.start();
  folder = await temporaryFolder();
});
afterEach(async () => {
  child?.kill('SIGKILL');
  await gateway.stop();
  await folder.remove();
});

/**
 * Somebody at a terminal: script(1) gives the command one, and each answer is typed when its question has come.
 * @returns what the terminal showed, and the exit code
 */
async function atTerminal(command: string, answers: readonly (readonly [question: string, typed: string])[]) {
  const env = { PATH: process.env['PATH'], HOME: folder.path, ORB_HOME: folder.path, ORB_GATEWAY: gateway.url, TERM: 'xterm' };
  child = spawn('script', ['-qefc', `'${process.execPath}' '${main}' ${command}`, '/dev/null'], {
    env,
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const left = [...answers];
  let seen = '';
  let from = 0;
  child.stdout!.setEncoding('utf8').on('data', (chunk: string) => {
    seen += chunk;
    const next = left[0];
    if (!next || !seen.slice(from).includes(next[0])) return;
    from = seen.length;
    left.shift();
    child!.stdin!.write(next[1]);
  });
  const code = await new Promise<number | null>((resolve) => child!.on('close', resolve));
  expect(left, seen).toEqual([]);
  return { seen, code };
}

const passphrase = 'correct horse battery';
const wrong = 'a wrong passphrase';
const isLinux = process.platform === 'linux';

test.runIf(isLinux)('a passphrase is asked twice, is not shown while it is typed, and opens the key later', async () => {
  const made = await atTerminal('account create alice --passphrase', [
    // Mistyped, and mended with the backspace key.
    ['New passphrase: ', `${passphrase}xx\u007f\u007f\r`],
    ['The same again: ', `${passphrase}\r`],
  ]);
  expect(made).toMatchObject({ code: 0, seen: expect.stringContaining('encrypted') });
  expect(made.seen).not.toContain('horse');
  expect(await readFile(join(folder.path, 'keys', 'alice.json'), 'utf8')).toContain('aes-256-gcm');
  expect((await atTerminal('fund', [])).code).toBe(0);
  const opened = await atTerminal('allowance open --max 1', [['Passphrase of alice: ', `${passphrase}\r`]]);
  expect(opened).toMatchObject({ code: 0, seen: expect.stringContaining('Allowance of') });
  expect(opened.seen).not.toContain('horse');
  const refused = await atTerminal('allowance open --max 1', [['Passphrase of alice: ', `${wrong}\r`]]);
  expect(refused).toMatchObject({ code: 3, seen: expect.stringContaining('passphrase is wrong') });
});

test.runIf(isLinux)('two that differ make no key; Ctrl-C at the question ends the command', async () => {
  const differ = await atTerminal('account create alice --passphrase', [
    ['New passphrase: ', `${passphrase}\r`],
    ['The same again: ', `${wrong}\r`],
  ]);
  expect(differ).toMatchObject({ code: 3, seen: expect.stringContaining('differ') });
  expect((await atTerminal('account create alice --passphrase', [['New passphrase: ', 'corr\u0003']])).code).not.toBe(0);
  await expect(readFile(join(folder.path, 'keys', 'alice.json'))).rejects.toThrow('ENOENT');
});

test.runIf(isLinux)('colour is for terminals', async () => {
  expect((await atTerminal('account create alice', [])).seen).toContain('\u001b[');
});
