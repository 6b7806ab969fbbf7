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
  seccomp: {
    host: { CapAdd: [], SecurityOpt: [] },
    script: '/bin/busybox unshare -U true 2>&1 && echo made',
    without: /made/,
    with: /not permitted/,
  },
  'no new privileges': {
    host: { SecurityOpt: ['seccomp=unconfined', 'apparmor=unconfined', 'no-new-privileges:true'] },
    script: 'grep NoNewPrivs /proc/self/status',
    without: /\t0/,
    with: /\t1/,
  },
  'sized tmpfs': {
    host: { Tmpfs: { '/tmp': 'size=1m' } },
    script: 'dd if=/dev/zero of=/tmp/x bs=1M count=2 2>&1 && echo filled',
    without: /filled/,
    with: /No space left/,
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
