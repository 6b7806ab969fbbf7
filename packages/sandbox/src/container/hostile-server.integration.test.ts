import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bodyOf, jobOf, textOf } from '../conformance.ts';
import { InstancePool } from '../instance-pool.ts';
import type { Instance, Invocation } from '../port.ts';
import { hostileServer, pathOf } from '../../test/escape/container-server.ts';
import { startDockerDaemon, whyNoDocker, type DockerDaemon } from '../../test/docker-daemon.ts';
import { imageProgram, TestImages, type TestImage, type TestLayer } from '../../test/test-images.ts';
import { ContainerSandbox } from './container-sandbox.ts';

const reason = whyNoDocker();

/** What the server is asked to do, by a name in place of a path. */
const tricks: Readonly<Record<string, string>> = {
  '/looked': 'return String(kept.looked)',
  '/sicken': 'kept.ill = true; return "ill now"',
  '/silent': '',
  '/split': 's.write(ok("one") + ok("two", "x-forged: 1\\r\\n"))',
  '/prints':
    'const flood = () => { while (process.stdout.write("x".repeat(65536))); process.stdout.once("drain", flood); }; flood(); return "printing"',
  '/deaf': 's.end(ok("deaf")); listener.close()',
  '/burn': 'setInterval(() => { const until = Date.now() + 40; while (Date.now() < until); }, 50); return "burning"',
  '/remember': 'writeFileSync("/tmp/secret", "of a tenant"); return "kept"',
  '/recall': 'return attempt(() => readFileSync("/tmp/secret"))',
  '/neighbours': `
    const others = readdirSync('/proc').filter((n) => +n > 0 && attempt(() => readFileSync('/proc/' + n + '/status', 'utf8').match(/Uid:\\s+(\\d+)/)[1]) === '65533');
    return others.map((n) => [attempt(() => readFileSync('/proc/' + n + '/environ')), attempt(() => readFileSync('/proc/' + n + '/mem')), attempt(() => readdirSync('/proc/' + n + '/fd')), attempt(() => readdirSync('/proc/' + n + '/root')), attempt(() => process.kill(+n, 9))].join(' '))`,
  '/writable': `
    return readFileSync('/proc/self/mounts', 'utf8').trim().split('\\n').map((line) => line.split(' '))
      .filter(([, path]) => attempt(() => writeFileSync(path + '/x', 'x')) === 'undefined').map(([, path, type]) => type + ' ' + path).join()`,
  '/fork':
    's.write(ok("forking")); const bomb = () => { const child = spawn(process.execPath, ["-e", "for(;;);"]); child.on("error", () => {}); setImmediate(bomb); }; bomb()',
};

describe.skipIf(reason !== undefined)(`a hostile server in a container${reason ? ` (${reason})` : ''}`, () => {
  let daemon: DockerDaemon;
  let sandbox: ContainerSandbox;
  let images: TestImages;
  let layer: TestLayer;
  let image: TestImage;
  let jobs = 0;

  beforeAll(async () => {
    daemon = await startDockerDaemon();
    images = new TestImages(daemon);
    layer = await images.base({ node: true, files: { 'server.mjs': hostileServer } });
    image = await images.make(layer, {
      name: 'hostile',
      changes: ['CMD ["node","/server.mjs"]'],
    });
    sandbox = new ContainerSandbox({
      owner: 'hostile',
      socketPath: daemon.socketPath,
      registries: { [daemon.registry]: null },
      freezeAfterMs: 200,
      spares: 2,
    });
  });
  afterAll(async () => {
    await sandbox?.close();
    await daemon?.stop();
  });

  async function withOwn<T>(work: (instance: Instance) => Promise<T>): Promise<T> {
    const instance = await sandbox.start(imageProgram(image, 'http'));
    try {
      return await work(instance);
    } finally {
      await instance.kill();
    }
  }
  const ask = (instance: Instance, path: string, more: Partial<Invocation> = {}) =>
    instance.invoke(
      jobOf(undefined, { job: `job-${++jobs}`, method: 'GET', path: path in tricks ? pathOf(tricks[path]!) : path, ...more }),
    );
  const end = async (instance: Instance, path: string, more: Partial<Invocation> = {}) => {
    const result = await ask(instance, path, more);
    await bodyOf(result).catch(() => {});
    return result.finished;
  };

  it('cannot give a second answer to the next caller', async () => {
    await withOwn(async (instance) => {
      expect(await textOf(await ask(instance, '/split'))).toBe('one');
      for (let i = 0; i < 5; i++) expect(await textOf(await ask(instance, '/fine'))).toBe('fine');
    });
  });

  it('may print without an end: it waits, and others are served', async () => {
    await withOwn((instance) =>
      withOwn(async (other) => {
        expect(await textOf(await ask(instance, '/prints'))).toBe('printing');
        expect(await textOf(await ask(other, '/fine'))).toBe('fine');
      }),
    );
  });

  it('that listens no more is given up, and replaced', async () => {
    await withOwn(async (instance) => {
      expect(await textOf(await ask(instance, '/deaf'))).toBe('deaf');
      expect(await end(instance, '/fine')).toMatchObject({
        outcome: 'function-failed',
        error: expect.stringMatching(/Nothing listens/) as string,
      });
      await instance.ended;
    });
  });

  it('cannot look into the helper, signal it, or follow it to the host', async () => {
    await withOwn(async (instance) => {
      const each = JSON.parse(await textOf(await ask(instance, '/neighbours'))) as string[];
      expect(each.length).toBeGreaterThan(0);
      for (const line of each) expect(line).toMatch(/^(EACCES|EPERM) (EACCES|EPERM) (EACCES|EPERM) (EACCES|EPERM) EPERM$/);
    });
  });

  it('has nothing of the host’s in its file system that it could swap for something else', async () => {
    await withOwn(async (instance) => {
      const writable = (await textOf(await ask(instance, '/writable'))).split(',');
      expect(writable).toContain('tmpfs /tmp');
      expect(writable.filter((mount) => !['tmpfs /tmp', 'tmpfs /dev/shm', 'mqueue /dev/mqueue'].includes(mount))).toEqual([]);
    });
  });

  it('sees nothing of another tenant', async () => {
    await withOwn((one) =>
      withOwn(async (other) => {
        await textOf(await ask(one, '/remember'));
        expect(await textOf(await ask(one, '/recall'))).toBe('of a tenant');
        expect(await textOf(await ask(other, '/recall'))).toBe('ENOENT');
      }),
    );
  });

  it('gets no processor after its last answer: it is frozen until the next call', async () => {
    const events = (await daemon.docker.getEvents({ filters: { event: ['pause'], type: ['container'] } })) as NodeJS.ReadableStream & {
      destroy(): void;
    };
    try {
      await withOwn(async (instance) => {
        const paused = once(events, 'data');
        expect(await textOf(await ask(instance, '/burn'))).toBe('burning');
        await paused;
        expect(await textOf(await ask(instance, '/fine'))).toBe('fine');
      });
    } finally {
      events.destroy();
    }
  });

  it('that forks without an end is bounded, and others are served', async () => {
    await withOwn(async (instance) => {
      await end(instance, '/fork', { timeoutMs: 1_000 });
      await withOwn(async (other) => expect(await textOf(await ask(other, '/fine'))).toBe('fine'));
    });
  });

  describe('that names a path for its health', () => {
    const labels = ['LABEL orb.health=/healthz', 'LABEL orb.health.interval=1'];
    const checked = async (...more: string[]) =>
      images.make(layer, { name: 'checked', changes: [...labels, ...more, 'CMD ["node","/server.mjs"]'] });

    it('is asked while it has calls; ill three times, it is replaced, and its callers are told why', async () => {
      const program = imageProgram(await checked(), 'http');
      const pool = new InstancePool({ memoryMiB: 512 }, { sandbox });
      const pooled = { tenant: 'a', version: program.sha256, concurrency: 4, memoryMiB: 128, load: async () => program };
      const lease = await pool.acquire(pooled);
      const { instance } = lease;
      expect(await textOf(await ask(instance, '/fine'))).toBe('fine');
      expect(Number(await textOf(await ask(instance, '/looked')))).toBeGreaterThan(0);
      expect(await textOf(await ask(instance, '/sicken'))).toBe('ill now');
      expect(await end(instance, '/silent', { timeoutMs: 30_000 })).toMatchObject({
        outcome: 'function-failed',
        error: 'The server in the container was not well: GET /healthz answered 503, 3 times.',
      });
      await instance.ended;
      lease.release();
      const next = await pool.acquire(pooled);
      expect(next.instance).not.toBe(instance);
      expect(await textOf(await ask(next.instance, '/fine'))).toBe('fine');
      next.release();
      await pool.close();
    });

    it('takes no call before it is well, and says what is wrong where it never is', async () => {
      const never = imageProgram(await checked('ENV ILL=yes'), 'http', { startTimeoutMs: 3_000 });
      await expect(sandbox.start(never)).rejects.toMatchObject({
        code: 'load-failed',
        message: 'The server listens, and is not well: GET /healthz answered 503.',
      });
    });
  });

  describe('while it starts', () => {
    it('is given up when it does not listen in time', async () => {
      const deaf = await images.make(layer, { name: 'deaf', changes: ['ENV DEAF=1', 'CMD ["node","/server.mjs"]'] });
      await expect(sandbox.start(imageProgram(deaf, 'http', { startTimeoutMs: 700 }))).rejects.toMatchObject({ code: 'timed-out' });
    });

    it('fails with its own last words', async () => {
      const failing = await images.make(layer, {
        name: 'failing',
        changes: ['ENV FAIL=no-such-database', 'CMD ["node","/server.mjs"]'],
      });
      await expect(sandbox.start(imageProgram(failing, 'http'))).rejects.toMatchObject({
        code: 'load-failed',
        message: 'The container ended with code 9: no-such-database',
      });
    });
  });
});
