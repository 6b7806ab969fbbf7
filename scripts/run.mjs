#!/usr/bin/env node
// Runs every npm script of this workspace on a machine with nothing but Node 20 and npm: installs what is missing,
// shows it, then hands over to Node 24. Plain JavaScript without dependencies, because it runs before there are any.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, statSync, utimesSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const bin = (path) => join(root, 'node_modules', path);

/** Command lines by script name: [what Node 24 runs, …] run one after the other until one fails. */
const scripts = {
  start: [['packages/cli/src/main.ts', 'up']],
  orb: [['packages/cli/src/main.ts']],
  test: [[bin('vitest/vitest.mjs'), 'run']],
  'test-fast': [[bin('vitest/vitest.mjs'), 'run', '--project', 'fast']],
  verify: [[bin('typescript/bin/tsc'), '-p', '.'], [bin('vitest/vitest.mjs'), 'run']],
  format: [[bin('oxfmt/bin/oxfmt'), '.']],
  bench: [['bench/main.ts']],
};

const [name, ...args] = process.argv.slice(2);
const commands = scripts[name];
if (!commands) fail(`There is no script ${name}. Scripts: ${Object.keys(scripts).join(', ')}.`);

installPackages();
const node = findNode24();
for (const [index, command] of commands.entries()) {
  const code = await run(node, index === commands.length - 1 ? [...command, ...args] : command);
  if (code !== 0) process.exit(code);
}

function installPackages() {
  const stamp = bin('.package-lock.json');
  const lock = join(root, 'package-lock.json');
  if (existsSync(stamp) && statSync(stamp).mtimeMs >= statSync(lock).mtimeMs) return;
  console.error('Installing packages (about 30 seconds the first time) …');
  const { status } = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: root, stdio: ['ignore', 2, 2], shell: process.platform === 'win32' });
  if (status !== 0) fail('npm ci failed; its message stands above. Run the command again when the cause is mended.');
  utimesSync(stamp, new Date(), new Date());
}

function findNode24() {
  const packaged = bin(`node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}/bin/node${process.platform === 'win32' ? '.exe' : ''}`);
  if (existsSync(packaged)) return packaged;
  if (Number(process.versions.node.split('.')[0]) >= 24) return process.execPath;
  return fail(`Orb needs Node 24 and has no packaged one for ${process.platform}-${process.arch}. Install Node 24 and try again.`);
}

function run(command, argv) {
  return new Promise((resolve) => {
    const child = spawn(command, argv, { cwd: root, stdio: 'inherit' });
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
    child.on('exit', (code, signal) => resolve(code ?? (signal === 'SIGINT' ? 130 : 1)));
  });
}

function fail(message) {
  console.error(message);
  process.exit(1);
}

