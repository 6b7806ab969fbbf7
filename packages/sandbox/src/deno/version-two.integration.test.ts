import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { findProgram } from '../../test/docker-daemon.ts';

/*
 * Control groups of version 2, with every controller, on any Linux: a second kernel runs as a program (user-mode Linux) on
 * this computer's own files, none of which it can change, and in it the tests of limits.integration.test.ts.
 */

const kernel = findProgram('linux.uml');
const reason = whyNot();
const repository = fileURLToPath(new URL('../../../../', import.meta.url));
const suite = 'packages/sandbox/src/deno/limits.integration.test.ts';
const withinMs = 300_000;

function whyNot(): string | undefined {
  if (process.arch !== 'x64') return 'user-mode Linux is made for x64';
  if (kernel) return undefined;
  const missing = 'not installed: linux.uml (Debian: user-mode-linux)';
  if (process.env['CI'] === 'true') throw new Error(missing);
  return missing;
}

/**
 * What the first process of the second kernel does.
 * @param room an empty folder, where it has files of its own: the sources may stand below any other, /tmp too
 * @param place commands that put it into its group
 * @param only which tests
 */
function firstProcess(room: string, place: string, only: string): string {
  return `#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=${room} TMPDIR=${room} NO_COLOR=1
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mount -t cgroup2 none /sys/fs/cgroup
mount -t tmpfs tmpfs ${room}
mount -t tmpfs tmpfs /run
ip link set lo up
${place}
cd ${repository}
${process.execPath} node_modules/vitest/vitest.mjs run --project slow ${suite} --reporter verbose --configLoader runner ${only} | cat
echo o > /proc/sysrq-trigger
sleep 60
`;
}

/** Everything that the second kernel and what runs in it say. */
function boot(place: string, only: string): Promise<string> {
  const folder = mkdtempSync('/var/tmp/orb-kernel-');
  const first = join(folder, 'first');
  const room = join(folder, 'room');
  mkdirSync(room);
  writeFileSync(first, firstProcess(room, place, only));
  chmodSync(first, 0o755);
  const options = ['mem=3G', 'root=/dev/root', 'rootfstype=hostfs', 'rootflags=/', 'ro', `init=${first}`, 'con=null', 'con0=fd:0,fd:1'];
  return new Promise((resolve, reject) => {
    // Its memory is a file there.
    const env = { ...process.env, TMPDIR: folder, HOME: folder };
    const child = spawn(kernel!, [...options, 'quiet'], { stdio: ['ignore', 'pipe', 'pipe'], env, detached: true });
    const timer = setTimeout(() => process.kill(-child.pid!, 'SIGKILL'), withinMs);
    let said = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes: Buffer) => (said += bytes.toString()));
    child.on('error', reject);
    child.on('close', () => {
      clearTimeout(timer);
      rmSync(folder, { recursive: true, force: true });
      resolve(said);
    });
  });
}

/** What vitest says of each test: its mark, and its name. */
function verdicts(said: string): { readonly mark: string; readonly name: string }[] {
  return [...said.matchAll(/^ *([✓×↓]) .*\.test\.ts > (.*?)(?: \d+ms)?\s*$/gm)].map(([, mark = '', name = '']) => ({ mark, name }));
}

describe.skipIf(reason !== undefined)(`control groups of version 2${reason ? ` (${reason})` : ''}`, () => {
  it.each([
    ['in a group of its own, as below systemd', 'mkdir /sys/fs/cgroup/node && echo $$ > /sys/fs/cgroup/node/cgroup.procs', '', 5],
    ['at the top, where nobody made groups before', '', '-t "stand below"', 1],
  ] as const)(
    'hold functions of a node %s',
    async (_name, place, only, least) => {
      const said = await boot(place, only);
      const found = verdicts(said);
      expect(
        found.filter(({ mark }) => mark === '×'),
        said,
      ).toEqual([]);
      const passed = found.filter(({ mark, name }) => mark === '✓' && name.startsWith('control groups (v2) alone >'));
      expect(passed.length, said).toBeGreaterThanOrEqual(least);
    },
    withinMs + 10_000,
  );
});
