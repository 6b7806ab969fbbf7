import { createServer, type Server } from 'node:net';
import { once } from 'node:events';
import type { HostConfig } from 'dockerode';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { utf8 } from '@orb/protocol';
import { bodyOf, jobOf, textOf } from '../conformance.ts';
import type { Instance, Invocation } from '../port.ts';
import { startDockerDaemon, whyNoDocker, type DockerDaemon } from '../../test/docker-daemon.ts';
import { imageProgram, TestImages, type TestImage, type TestLayer } from '../../test/test-images.ts';
import { ContainerSandbox } from './container-sandbox.ts';
import { ownerLabel } from './hardened-container.ts';

const reason = whyNoDocker();

/** Each: a script of a job, and how it must end. `says` is what it prints, `never` what it must not. */
const tries: Record<
  string,
  { layer: string; script: string; outcome?: string | RegExp; says?: RegExp; never?: RegExp; error?: RegExp; timeoutMs?: number }
> = {
  'being root': {
    layer: 'no capabilities, no new privileges, seccomp',
    script: 'id; grep -E "^(Cap|NoNew|Seccomp:)" /proc/self/status',
    says: /^uid=65534 gid=65534[^]*CapBnd:\s0+\n[^]*NoNewPrivs:\s1\n[^]*Seccomp:\s2/,
  },
  'the environment of the node': {
    layer: 'an environment of its own',
    script: 'env | cut -d= -f1 | sort | tr "\\n" " "',
    says: /^(HOME |HOSTNAME |ORB_\w+ |PATH |PWD |SHLVL )+$/,
  },
  'writing to the root': {
    layer: 'the read-only root',
    script: 'touch /x /bin/x /etc/hosts /etc/x 2>&1; echo',
    says: /(Read-only file system[^]*){3}/,
    never: /^$/,
  },
  'running what it has written': {
    layer: 'noexec on what can be written',
    script: 'cat /bin/busybox > /tmp/echo; chmod +x /tmp/echo; /tmp/echo escaped 2>&1',
    outcome: 'function-failed',
    never: /escaped/,
  },
  'filling the disk': {
    layer: 'the sized tmpfs',
    script: 'dd if=/dev/zero of=/tmp/x bs=1M count=500 2>&1; echo; df -m /tmp',
    says: /No space left[^]*\s64\s/,
  },
  'filling the disk with empty files': {
    layer: 'the inodes of the tmpfs',
    script: 'i=0; while [ $i -lt 20000 ]; do echo > /tmp/$i || break; i=$((i+1)); done 2>/dev/null; [ $i -lt 17000 ] && echo stopped',
    says: /stopped/,
  },
  mounting: {
    layer: 'no capabilities',
    script: 'mount -t tmpfs none /tmp 2>&1; mount -o remount,rw / 2>&1; true',
    says: /(permission denied[^]*){2}|not permitted/i,
  },
  'the kernel’s switches': {
    layer: 'the engine’s masked paths',
    script: 'echo 1 > /proc/sys/kernel/sysrq; echo b > /proc/sysrq-trigger; echo x > /sys/kernel/uevent_helper; echo still here',
    says: /^still here\n$/,
  },
  'the computer’s memory and disks': {
    layer: 'no devices',
    script: 'head -c 10 /proc/kcore /dev/mem /dev/vda /dev/sda 2>/dev/null; ls /dev | tr "\\n" " "',
    never: /sd[a-z]|vd[a-z]|mem|kmsg|fuse/,
  },
  'the processes of others': {
    layer: 'a process tree of its own',
    script: 'ps -o pid,args; kill -9 -1; echo',
    outcome: /ok|function-failed/,
    never: /vitest|dockerd|relay/,
  },
  'the engine’s socket': {
    layer: 'a file system of its own',
    script: 'ls -la /var/run/docker.sock /run/docker.sock 2>&1; true',
    says: /(No such file[^]*){2}/,
  },
  'swapping files for links to the host’s': {
    layer: 'a file system of its own',
    script:
      'for to in /var/run/docker.sock /etc/shadow /proc/1/root/etc/hostname; do ln -sf $to /tmp/link; cat /tmp/link; done 2>&1; ln -sf /proc/1/root /tmp/root; ls /tmp/root/',
    says: /No such file[^]*bin/,
    never: /root:|PRIVATE|vitest|packages/,
  },
  'output that speaks to terminals and parsers': {
    layer: 'the host, which takes bytes for bytes',
    script: 'head -c 200000 /bin/busybox; echo -e "\\033[2J\\0HTTP/1.1 200 OK"',
    says: /ELF/,
  },
  'any network card': { layer: 'no network', script: 'ip link | grep -c "^[0-9]"; cat /proc/net/route', says: /^1\nIface/ },
  'the internet': {
    layer: 'no network',
    script: 'wget -q -T 2 -O - http://1.1.1.1/ 2>&1; ping -c 1 -W 1 1.1.1.1 2>&1; nslookup example.com 2>&1; echo',
    says: /unreachable|not permitted|denied/i,
  },
  'a fork bomb': {
    layer: 'the limit of processes',
    script: 'bomb() { bomb | bomb & }; bomb; sleep 100',
    outcome: /timed-out|function-failed|out-of-memory/,
    timeoutMs: 1_500,
  },
  'a memory bomb': {
    layer: 'the limit of memory',
    script: 'x=aaaaaaaa; while :; do x=$x$x; done',
    outcome: 'out-of-memory',
    error: /memory/,
  },
  'a memory bomb in a file': {
    layer: 'the limit of memory, the sized tmpfs',
    script: 'mkdir /tmp/d; cat /dev/zero > /tmp/d/a; cat /tmp/d/a /tmp/d/a /tmp/d/a | sort',
    outcome: /function-failed|out-of-memory/,
  },
  'an endless loop': { layer: 'the host’s clock', script: 'while :; do :; done', outcome: 'timed-out', timeoutMs: 300 },
  'a wait without an end': { layer: 'the host’s clock', script: 'sleep 1000', outcome: 'timed-out', timeoutMs: 300 },
  'closing its output and staying': {
    layer: 'the host’s clock',
    script: 'exec >&- 2>&-; sleep 1000',
    outcome: 'timed-out',
    timeoutMs: 500,
  },
  'ignoring every signal': {
    layer: 'SIGKILL by the engine',
    script: 'trap "" TERM INT HUP QUIT; while :; do sleep 1; done',
    outcome: 'timed-out',
    timeoutMs: 300,
  },
  'a flood of output': { layer: 'the limit of an answer', script: 'yes', outcome: 'response-too-large' },
  'a flood of zeros': { layer: 'the limit of an answer', script: 'cat /dev/zero', outcome: 'response-too-large' },
  'a flood of errors': { layer: 'the limit of a log', script: 'yes >&2', outcome: 'bad-response', error: /standard error/ },
  'leaving a process behind': { layer: 'the end of its process tree', script: 'sleep 1000 & (sleep 1000 &) ; echo left', says: /^left\n$/ },
  'leaving a process behind that holds the output': {
    layer: 'the end of its process tree',
    script: '(trap "" HUP; sleep 1000) & echo left; exit 0',
    says: /^left\n$/,
  },
  'a core dump': {
    layer: 'the limit of core dumps',
    script: 'ulimit -c; sh -c "kill -SEGV \\$\\$"; exit $?',
    outcome: 'function-failed',
    error: /signal 11|code 139/,
  },
  'many open files': { layer: 'the limit of open files', script: 'ulimit -n; ulimit -H -n', says: /^1024\n1024\n$/ },
};

/** One wall alone, everything else off: the container runs as root with the engine's most generous settings. */
const walls: Record<string, { host: HostConfig; user?: string; script: string; without: RegExp; with: RegExp }> = {
  'read-only root': { host: { ReadonlyRootfs: true }, script: 'touch /x 2>&1 && echo written', without: /written/, with: /Read-only/ },
  'no capabilities': {
    host: { CapDrop: ['ALL'] },
    script: 'chmod 700 /tmp && mkdir /tmp/d && ( mount -t tmpfs none /tmp/d 2>&1 && echo mounted )',
    without: /mounted/,
    with: /denied|not permitted/,
  },
  'no network': { host: { NetworkMode: 'none' }, script: 'ip link | grep -c "^[0-9]"', without: /^([2-9]|\d\d)/, with: /^1\n/ },
  'own user': { host: {}, user: '65534:65534', script: 'chmod 777 /bin 2>&1 && echo changed', without: /changed/, with: /not permitted/ },
  'process limit': {
    host: { PidsLimit: 8 },
    script: 'for i in $(seq 20); do sleep 2 & done 2>&1; echo all',
    without: /^all\n$/,
    with: /fork/,
  },
  'memory limit': {
    host: { Memory: 33_554_432, MemorySwap: 33_554_432 },
    script: 'dd if=/dev/zero of=/dev/null bs=100M count=1 2>/dev/null && echo done',
    without: /done/,
    with: /^$/,
  },
  'file limit': {
    host: { Ulimits: [{ Name: 'nofile', Soft: 16, Hard: 16 }] },
    script: 'ulimit -n 64 2>&1; ulimit -n',
    without: /^64\n$/,
    with: /16\n$/,
  },
};
/** What a wall is taken away from. */
const open: HostConfig = { CapAdd: ['SYS_ADMIN'], SecurityOpt: ['seccomp=unconfined', 'apparmor=unconfined'], NetworkMode: 'host' };

describe.skipIf(reason !== undefined)(`what a container cannot do${reason ? ` (${reason})` : ''}`, () => {
  let daemon: DockerDaemon;
  let sandbox: ContainerSandbox;
  let images: TestImages;
  let layer: TestLayer;
  let shell: TestImage;
  let instance: Instance;
  let jobs = 0;

  beforeAll(async () => {
    daemon = await startDockerDaemon();
    images = new TestImages(daemon);
    layer = await images.base();
    shell = await images.make(layer, { name: 'shell', changes: ['ENTRYPOINT ["/bin/sh","-c"]'] });
    sandbox = new ContainerSandbox({ owner: 'escape', socketPath: daemon.socketPath, registries: { [daemon.registry]: null }, spares: 0 });
    instance = await sandbox.start(imageProgram(shell, 'job'));
  });
  afterAll(async () => {
    await sandbox?.close();
    await daemon?.stop();
  });

  const run = async (script: string, more: Partial<Invocation> = {}, on = instance) => {
    const path = `/?${new URLSearchParams({ arg: script }).toString()}`;
    const result = await on.invoke(jobOf(undefined, { job: `job-${++jobs}`, path, ...more }));
    return { text: Buffer.from(await bodyOf(result)).toString(), headers: result.headers, ...(await result.finished) };
  };
  const ours = async () => daemon.docker.listContainers({ all: true, filters: { label: [`${ownerLabel}=escape`] } });

  describe.concurrent('a job that tries', () => {
    for (const [name, { layer: wall, script, outcome = 'ok', says, never, error, timeoutMs = 20_000 }] of Object.entries(tries)) {
      it(`${name}: stopped by ${wall}`, async () => {
        const done = await run(script, { timeoutMs });
        expect(done).toMatchObject({ outcome: expect.stringMatching(outcome) as string });
        if (says) expect(done.text).toMatch(says);
        if (never) expect(done.text).not.toMatch(never);
        if (error) expect(done.error).toMatch(error);
        // The node stays healthy, and others are served.
        expect(await run('echo well', { timeoutMs: 30_000 })).toMatchObject({ outcome: 'ok', text: 'well\n' });
      });
    }
  });

  it('leaves no container behind, and serves others as before', async () => {
    expect(await run('echo well')).toMatchObject({ outcome: 'ok', text: 'well\n' });
    await sandbox.close();
    expect(await ours()).toEqual([]);
    sandbox = new ContainerSandbox({ owner: 'escape', socketPath: daemon.socketPath, registries: { [daemon.registry]: null }, spares: 0 });
    instance = await sandbox.start(imageProgram(shell, 'job'));
  });

  it('serves others while a fork bomb burns', async () => {
    const bomb = run('bomb() { bomb | bomb & }; bomb; sleep 100', { timeoutMs: 3_000 });
    expect(await run('echo well')).toMatchObject({ outcome: 'ok', text: 'well\n' });
    await bomb;
  });

  it('reaches no server of this computer, not even on an abstract socket', async () => {
    const knocked: string[] = [];
    const servers: Server[] = [];
    const listen = async (where: string | { port: number; host: string }) => {
      const server = createServer((socket) => (knocked.push(JSON.stringify(where)), socket.destroy()));
      server.listen(where);
      await once(server, 'listening');
      servers.push(server);
      return server.address();
    };
    try {
      const { port } = (await listen({ port: 0, host: '0.0.0.0' })) as { port: number };
      await listen('\0orb-escape-test');
      const node = await images.make(await images.base({ node: true }), { name: 'node', changes: ['ENTRYPOINT ["node","-e"]'] });
      const nodes = await sandbox.start(imageProgram(node, 'job'));
      const script = `const net = require('net'); for (const to of [{ port: ${port}, host: '127.0.0.1' }, { port: ${port}, host: '172.17.0.1' }, { path: '\\0orb-escape-test' }])
        net.connect(to).on('connect', () => console.log('reached')).on('error', (e) => console.log(e.code))`;
      const { text } = await run(script, {}, nodes);
      expect(text.trim().split('\n').sort()).toEqual(['ECONNREFUSED', 'ECONNREFUSED', 'ENETUNREACH']);
      expect(knocked).toEqual([]);
    } finally {
      for (const server of servers) server.close();
    }
  });

  describe('a job of good will', () => {
    it('gets the body on standard input and each `arg` as an argument, and answers with what it prints', async () => {
      const path = `/?${new URLSearchParams([
        ['arg', 'cat; echo " $0 $1"'],
        ['arg', 'a b'],
        ['arg', '$(id)'],
      ]).toString()}`;
      const result = await instance.invoke(jobOf(undefined, { path, body: utf8('in') }));
      expect(await textOf(result)).toBe('in a b $(id)\n');
      expect([result.status, result.headers]).toEqual([200, [['content-type', 'text/plain; charset=utf-8']]]);
      const { setupUs, runUs, outcome } = await result.finished;
      expect([outcome, setupUs! > 0, runUs > 0]).toEqual(['ok', true, true]);
    });

    it('is told whose job it is', async () => {
      expect((await run('echo $ORB_CALL $ORB_JOB $ORB_ATTEMPT $ORB_FUNCTION', { job: 'job-x' })).text).toMatch(
        /^call-1 job-\S+ 1 alice\/hello\n$/,
      );
    });

    it('answers JSON as JSON, and bytes as bytes', async () => {
      expect((await run('echo \'{"a":1}\'')).headers).toEqual([['content-type', 'application/json']]);
      expect((await run('head -c 100 /bin/busybox')).headers).toEqual([['content-type', 'application/octet-stream']]);
    });

    it('reads a body of megabytes, and need not read it', async () => {
      const body = new Uint8Array(3_000_000).fill(97);
      expect(await run('wc -c', { body })).toMatchObject({ text: '3000000\n', outcome: 'ok' });
      expect(await run('echo no', { body })).toMatchObject({ text: 'no\n', outcome: 'ok' });
    });

    it('fails with its exit code and last words, which go to the log too', async () => {
      const lines: string[] = [];
      const done = await run('echo so far; echo "no luck" >&2; exit 4', { log: (_level, line) => void lines.push(line) });
      expect(done).toMatchObject({ outcome: 'function-failed', error: 'The container ended with code 4: no luck', text: '' });
      expect(lines).toEqual(['no luck']);
    });

    it('is measured: time, processor and memory', async () => {
      const { runUs, cpuUs, peakMemoryKiB } = await run('i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; sleep 0.1');
      expect(runUs).toBeGreaterThan(100_000);
      expect(cpuUs).toBeGreaterThan(10_000);
      expect(peakMemoryKiB).toBeGreaterThan(0);
    });

    it('ends when its caller goes', async () => {
      const caller = new AbortController();
      const waiting = run('sleep 1000', { signal: caller.signal });
      caller.abort();
      expect(await waiting).toMatchObject({ outcome: 'cancelled' });
    });

    it('ends as node-failed when the instance is killed', async () => {
      const other = await sandbox.start(imageProgram(shell, 'job'));
      const waiting = run('sleep 1000', {}, other);
      await other.kill();
      expect(await waiting).toMatchObject({ outcome: 'node-failed' });
      await other.ended;
    });

    it('is not billed when the image has no such program, or too many arguments come', async () => {
      const wrong = await images.make(layer, { name: 'wrong', changes: ['CMD ["/no/such/program"]'] });
      const instanceOfWrong = await sandbox.start(imageProgram(wrong, 'job'));
      expect(await run('', {}, instanceOfWrong)).toMatchObject({
        outcome: 'load-failed',
        error: expect.stringMatching(/no such file/) as string,
        runUs: 0,
      });
      const path = `/?${'arg=x&'.repeat(65)}`;
      expect(await (await instance.invoke(jobOf(undefined, { path }))).finished).toMatchObject({ outcome: 'load-failed', runUs: 0 });
    });
  });

  describe.concurrent('one wall alone stops what it is there for', () => {
    for (const [name, { host, user = '0:0', script, ...words }] of Object.entries(walls)) {
      it(name, async () => {
        const bare = await runBare(daemon, shell.reference, { ...open }, '0:0', script);
        expect(bare).toMatch(words.without);
        const capabilities = 'CapDrop' in host ? { CapAdd: [] } : {};
        expect(await runBare(daemon, shell.reference, { ...open, ...capabilities, ...host }, user, script)).toMatch(words.with);
      });
    }
  });
});

async function runBare({ docker }: DockerDaemon, image: string, host: HostConfig, user: string, script: string): Promise<string> {
  const container = await docker.createContainer({
    Image: image,
    Cmd: [script],
    User: user,
    HostConfig: host,
    Tty: true,
  });
  try {
    const stream = await container.attach({ stream: true, stdout: true, stderr: true });
    let text = '';
    stream.on('data', (bytes: Buffer) => (text += bytes.toString()));
    const ended = once(stream, 'end');
    await container.start();
    await ended;
    return text.replaceAll('\r', '');
  } finally {
    await container.remove({ force: true });
  }
}
