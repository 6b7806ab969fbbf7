#!/usr/bin/env node
// Runs every npm script of this workspace on a machine with nothing but Node 20 and npm: installs what is missing,
// shows it, then hands over to Node 24. Plain JavaScript without dependencies, because it runs before there are any.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { installDebianPackages } from './install-debian-packages.mjs';
import { installPackages, root } from './install-packages.mjs';
import { inTestFolder } from './in-test-folder.mjs';
import { runChild } from './run-child.mjs';
import { runTests } from './run-tests.mjs';

const bin = (path) => join(root, 'node_modules', path);
const vitest = bin('vitest/vitest.mjs');

/** What has to be right besides the tests; each takes about a second. */
const gates = [
  { name: 'format', argv: [bin('oxfmt/bin/oxfmt'), '--check', '.'], mend: 'npm run format' },
  { name: 'lint', argv: [bin('oxlint/bin/oxlint')] },
  { name: 'types', argv: [bin('typescript/bin/tsc'), '-p', '.'] },
  { name: 'dead code', argv: [bin('knip/bin/knip.js'), '--no-progress', '--no-config-hints'] },
];
/**
 * bubblewrap is a wall; three are a Docker Engine for tests and bench of containers; shells, a browser and a second kernel
 * are there to be tested in.
 */
const benchPackages = ['bubblewrap', 'docker.io', 'docker-registry', 'busybox-static'];
const testPackages = [...benchPackages, 'runsc', 'zsh', 'fish', 'chromium', ...(process.arch === 'x64' ? ['user-mode-linux'] : [])];
const tests = { name: 'tests', argv: [vitest, 'run'], areTests: true };

/**
 * What Node 24 runs for each script, and the Debian packages that it wants. All commands of a script run, also after
 * one has failed, so that one look shows everything; arguments go to the last.
 */
const scripts = {
  start: { commands: [{ name: 'orb up', argv: ['packages/cli/src/main.ts', 'up'] }], debian: ['bubblewrap'] },
  orb: { commands: [{ name: 'orb', argv: [join(root, 'packages/cli/src/main.ts')] }], debian: [], cwd: process.env.INIT_CWD },
  test: { commands: [...gates, tests], debian: testPackages },
  'test-fast': { commands: [{ ...tests, argv: [...tests.argv, '--project', 'fast'] }], debian: [] },
  verify: { commands: [...gates, tests], debian: testPackages },
  format: { commands: [{ name: 'format', argv: [bin('oxfmt/bin/oxfmt'), '.'] }], debian: [] },
  // 1,000 runs of about 100 random operations on every engine of the ledger and through a peer; 100 crashes, full disks:
  // half an hour or more.
  soak: {
    commands: [
      {
        name: 'soak',
        argv: [
          vitest,
          'run',
          ...['random-operations', 'replica/random-replica', 'change/random-change', 'embedded/'].map(
            (name) => `packages/ledger/src/${name}`,
          ),
        ],
        env: { ORB_RANDOM_RUNS: '1000', ORB_CRASH_ROUNDS: '100' },
      },
    ],
    debian: [],
  },
  docs: { commands: [{ name: 'docs', argv: ['scripts/write-reference-docs.ts'] }], debian: [] },
  tarball: { commands: [{ name: 'tarball', argv: ['scripts/pack.ts'] }], debian: [] },
  bench: { commands: [{ name: 'bench', argv: ['bench/main.ts'] }], debian: benchPackages },
};

const [scriptName, ...args] = process.argv.slice(2);
if (!Object.hasOwn(scripts, scriptName)) fail(`There is no script ${scriptName}. Scripts: ${Object.keys(scripts).join(', ')}.`);
const script = scripts[scriptName];

try {
  await installPackages();
  await installDebianPackages(script.debian, { required: isCi() && scriptName !== 'start' });
} catch (error) {
  fail(error.message, error.exitCode);
}
// npm says where the person stands: `orb deploy hello.ts` means the file there.
process.exitCode = await runAll(script.commands, script.cwd ?? root);

async function runAll(commands, cwd) {
  const node = findNode24();
  const failures = [];
  for (const command of commands) {
    const isLast = command === commands.at(-1);
    if (commands.length > 1) console.error(`\n— ${command.name}`);
    const runWith = (env) => (argv) => runChild(node, argv, { cwd, env: { ...command.env, ...process.env, ...env } });
    const argv = isLast ? [...command.argv, ...args] : command.argv;
    const { code, stopped } = command.areTests ? await inTestFolder((env) => test(runWith(env), argv)) : await runWith()(argv);
    if (stopped) return code;
    if (code !== 0) failures.push({ command, code });
  }
  if (commands.length > 1) {
    for (const { command } of failures) {
      console.error(`Failed: ${command.name}${command.mend ? ` (mend it: ${command.mend})` : ''}`);
    }
  }
  return failures[0]?.code ?? 0;
}

/** Somebody at a terminal wants to see a failure at once; CI decides for everybody, on a machine that it shares. */
function test(run, argv) {
  return isCi() ? runTests(run, argv, root) : run(argv);
}

function findNode24() {
  const windows = process.platform === 'win32';
  const packaged = bin(`node-${windows ? 'win' : process.platform}-${process.arch}/bin/node${windows ? '.exe' : ''}`);
  if (existsSync(packaged)) return packaged;
  if (Number(process.versions.node.split('.')[0]) >= 24) return process.execPath;
  return fail(`Orb needs Node 24 and has no packaged one for ${process.platform}-${process.arch}. Install Node 24 and try again.`);
}

function isCi() {
  return process.env.CI !== undefined && !['', '0', 'false'].includes(process.env.CI);
}

function fail(message, code = 1) {
  console.error(message);
  process.exit(code);
}
