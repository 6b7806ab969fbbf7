import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findProgram, startDockerDaemon, whyNoDocker } from '../../../sandbox/test/docker-daemon.ts';
import { runOrb, temporaryFolder } from '../../test/run-orb.ts';
import { describeMachine, judgeMachine } from '../commands/node-doctor.ts';
import { examineNodeMachine } from '../compose.ts';
import { createStyle } from '../terminal/style.ts';

const reason = whyNotBare();
const main = fileURLToPath(new URL('../main.ts', import.meta.url));
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
beforeAll(async () => {
  folder = await temporaryFolder();
});
afterAll(() => folder.remove());

function whyNotBare(): string | undefined {
  const why =
    process.platform !== 'linux' || process.getuid?.() !== 0
      ? 'only root on Linux can take things away from a process'
      : ['unshare', 'chroot', 'setpriv', 'bwrap'].find((name) => !findProgram(name));
  if (why !== undefined && process.env['CI'] === 'true') throw new Error(`With CI=true bare machines must be shown: ${why}`);
  return why;
}

/** What `orb node doctor` says on this computer after a shell script, in a view of the files of its own, took something away. */
function doctorAfter(script: string): Promise<string> {
  const doctor = `exec $into ${process.execPath} ${main} node doctor`;
  const env = {
    PATH: process.env['PATH'] ?? '',
    HOME: folder.path,
    ORB_HOME: folder.path,
    NO_COLOR: '1',
    DOCKER_HOST: 'unix:///nowhere/docker.sock',
  };
  return new Promise((resolve, reject) => {
    execFile('unshare', ['--mount', 'sh', '-ec', `${script}\n${doctor}`], { env, timeout: 50_000 }, (error, stdout, stderr) =>
      error ? reject(new Error(stderr, { cause: error })) : resolve(stdout),
    );
  });
}

describe.skipIf(reason !== undefined)(
  `a bare machine${reason ? ` (${reason})` : ''} is told what it will offer, and how to raise it`,
  () => {
    const weak = [
      /^isolation: process/m,
      /^others: .*refused: their code needs namespaces or better$/m,
      /✗ namespaces \(bubblewrap\)/,
      /✗ seccomp:/,
    ];

    test('without bubblewrap', async () => {
      const said = await doctorAfter('mount --bind /dev/null "$(command -v bwrap)"');
      for (const words of weak) expect(said).toMatch(words);
      expect(said).toMatch(/✗ bubblewrap +not installed/);
      expect(said).toMatch(/· namespaces \(bubblewrap\), seccomp: Install bubblewrap .*apt-get install bubblewrap/);
    });

    test('where no user namespaces can be made, as in most containers', async () => {
      const root = join(folder.path, 'root');
      mkdirSync(root);
      // The kernel makes none for a process in a chroot; without the capability it makes no others either.
      const said = await doctorAfter(`mount --rbind / ${root}; into='chroot ${root} setpriv --bounding-set=-sys_admin'`);
      for (const words of weak) expect(said).toMatch(words);
      expect(said).toMatch(/✗ user namespaces +refused to this process/);
      expect(said).toMatch(/✓ bubblewrap +bubblewrap \d/);
      expect(said).toMatch(/· namespaces \(bubblewrap\), seccomp: Allow user namespaces .* It was tried, and: bwrap: No permissions/);
    });

    test('where control groups cannot be written, and no container engine answers', async () => {
      const said = await doctorAfter(
        `for path in $(awk '$3 ~ /^cgroup/ { print $2 }' /proc/self/mounts) $(awk '$2 == "/sys/fs/cgroup" && $3 == "tmpfs" { print $2 }' /proc/self/mounts); do mount -o bind,remount,ro $path; done`,
      );
      expect(said).toMatch(/^isolation: namespaces/m);
      expect(said).toMatch(/^images: +not run here$/m);
      expect(said).toMatch(/✗ control groups: memory and thread bombs/);
      expect(said).toMatch(/✓ lent cores \(affinity\)/);
      expect(said).toMatch(/· control groups: Even root may make none here: /);
      expect(said).toMatch(/✗ container engine +neither Docker nor podman answers/);
      expect(said).toMatch(/· containers: No Docker Engine answers\. Install and start one .*apt-get install docker\.io/);
    });
  },
);

test.each([
  ['darwin', /podman machine init/, /Docker Desktop/],
  ['win32', /wsl --install[^]*bubblewrap/, /Docker Desktop/],
] as const)(
  '%s has Deno’s permissions and little more: it takes nobody else’s functions, and is told what gives it a real tier',
  async (platform, linux, engine) => {
    const before = process.env['DOCKER_HOST'];
    process.env['DOCKER_HOST'] = 'unix:///nowhere/docker.sock';
    try {
      const found = await examineNodeMachine({ platform });
      const verdict = judgeMachine(found, platform);
      const said = describeMachine(found, verdict, createStyle(false));
      expect(verdict).toMatchObject({ images: null, strangers: false });
      expect(said).toMatch(/^isolation: process – Deno alone/m);
      expect(said).toMatch(/^others: .*functions of other accounts are refused/m);
      for (const wall of ['namespaces', 'seccomp', 'memory watch', 'control groups', 'lent cores']) expect(said).toContain(`✗ ${wall}`);
      expect(said).toMatch(/✓ Deno permissions/);
      expect(said.slice(said.indexOf('To raise them'))).toMatch(linux);
      expect(said.slice(said.indexOf('To raise them'))).toMatch(engine);
      expect(said).not.toMatch(/sysctl|apt-get install docker|systemd/);
    } finally {
      if (before === undefined) delete process.env['DOCKER_HOST'];
      else process.env['DOCKER_HOST'] = before;
    }
  },
);

const noEngine = whyNoDocker();
describe.skipIf(noEngine !== undefined)(`a machine with an engine${noEngine ? ` (${noEngine})` : ''}`, () => {
  test('is told its runtimes, which walls stand around images, and how to use gVisor where the engine has it', async () => {
    const [runc, runsc] = ['runc', 'runsc'].map(findProgram);
    const own = join(folder.path, 'gvisor');
    writeFileSync(own, `#!/bin/sh\nexec ${runsc} --network=none "$@"\n`, { mode: 0o755 });
    const runtimes = { second: runc!, ...(runsc && { runsc, own }) };
    const daemon = await startDockerDaemon(runtimes);
    try {
      const doctor = async (...flags: string[]) => {
        const env = { DOCKER_HOST: `unix://${daemon.socketPath}`, NO_COLOR: '1' };
        const { stdout, code } = await runOrb(['node', 'doctor', ...flags], { home: folder.path, env });
        expect(code).toBe(0);
        return stdout;
      };
      const said = await doctor();
      expect(said).toMatch(/^images: +container – every wall of the container engine$/m);
      expect(said).toMatch(/✓ container engine +Docker \d/);
      const named = /engine runtimes +(.*)$/m.exec(said)![1]!.split(', ');
      expect(named).toEqual(expect.arrayContaining(['runc', ...Object.keys(runtimes)]));
      expect(said).toMatch(/✓ containers: own user without capabilities/);
      expect(said).toMatch(
        runsc
          ? /· containers: own kernel: The engine has gVisor: orb node set container-runtime runsc/
          : /· containers: own kernel: Install gVisor/,
      );
      const wrong = await doctor('--container-runtime', 'nosuch');
      expect(wrong).toMatch(/^images: +not run here$/m);
      expect(wrong).toMatch(/· containers: The container engine has no runtime nosuch; it has .*runc/);
      if (runsc) expect(await doctor('--container-runtime', 'own')).toMatch(/✓ containers: own kernel: bugs in the system calls/);
    } finally {
      await daemon.stop();
    }
  });
});
