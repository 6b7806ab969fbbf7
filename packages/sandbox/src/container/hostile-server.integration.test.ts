import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bodyOf, jobOf, textOf } from '../conformance.ts';
import { InstancePool } from '../instance-pool.ts';
import type { Instance, Invocation } from '../port.ts';
import { startDockerDaemon, whyNoDocker, type DockerDaemon } from '../../test/docker-daemon.ts';
import { imageProgram, TestImages, type TestImage, type TestLayer } from '../../test/test-images.ts';
import { ContainerSandbox } from './container-sandbox.ts';

const reason = whyNoDocker();

/** A server that says on each path what no honest one would. */
const server = `
import { createServer } from 'node:net';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { spawn } from 'node:child_process';
const ok = (body, more = '') => 'HTTP/1.1 200 OK\\r\\ncontent-length: ' + Buffer.byteLength(body) + '\\r\\n' + more + '\\r\\n' + body;
const drip = (socket, piece, every = 1) => { const timer = setInterval(() => socket.destroyed ? clearInterval(timer) : socket.write(piece), every); };
const pour = (socket, piece) => { const more = () => { while (!socket.destroyed && socket.write(piece)); }; socket.on('drain', more); more(); };
const attempt = (work) => { try { return String(work()); } catch (error) { return error.code ?? error.message; } };
let ill = process.env.ILL === 'yes';
let looked = 0;
const paths = {
  '/healthz': (s) => { looked++; s.end(ill ? 'HTTP/1.1 503 Ill\\r\\ncontent-length: 0\\r\\n\\r\\n' : ok('well')); },
  '/looked': (s) => s.write(ok(String(looked))),
  '/sicken': (s) => { ill = true; s.write(ok('ill now')); },
  '/fine': (s) => s.write(ok('fine')),
  '/garbage': (s) => s.end('this is no HTTP at all, is it?\\r\\n\\r\\n'),
  '/binary': (s) => s.end(Buffer.alloc(5000, 0xff)),
  '/giant-header': (s) => s.write('HTTP/1.1 200 OK\\r\\nx: ' + 'x'.repeat(1e6) + '\\r\\n\\r\\n'),
  '/large-headers': (s) => s.write(ok('x', 'x: ' + 'x'.repeat(20000) + '\\r\\n')),
  '/many-headers': (s) => s.write(ok('x', Array.from({ length: 500 }, (_, i) => 'x-' + i + ': 1\\r\\n').join(''))),
  '/endless-headers': (s) => { s.write('HTTP/1.1 200 OK\\r\\n'); pour(s, 'x: y\\r\\n'.repeat(100)); },
  '/nul-header': (s) => s.write('HTTP/1.1 200 OK\\r\\nx: a\\0b\\r\\ncontent-length: 0\\r\\n\\r\\n'),
  '/bare-line-feed': (s) => s.write('HTTP/1.1 200 OK\\r\\nx: a\\nset-cookie: b\\r\\ncontent-length: 0\\r\\n\\r\\n'),
  '/two-lengths': (s) => s.write('HTTP/1.1 200 OK\\r\\ncontent-length: 1\\r\\ncontent-length: 2\\r\\n\\r\\nxx'),
  '/length-and-chunks': (s) => s.write('HTTP/1.1 200 OK\\r\\ncontent-length: 1\\r\\ntransfer-encoding: chunked\\r\\n\\r\\n0\\r\\n\\r\\n'),
  '/huge-length': (s) => { s.write('HTTP/1.1 200 OK\\r\\ncontent-length: 99999999999999999999\\r\\n\\r\\nx'); },
  '/negative-length': (s) => s.write('HTTP/1.1 200 OK\\r\\ncontent-length: -5\\r\\n\\r\\nx'),
  '/huge-chunk': (s) => s.write('HTTP/1.1 200 OK\\r\\ntransfer-encoding: chunked\\r\\n\\r\\nfffffffffffffffff\\r\\nx'),
  '/endless-chunk-extension': (s) => { s.write('HTTP/1.1 200 OK\\r\\ntransfer-encoding: chunked\\r\\n\\r\\n5;'); pour(s, 'x'.repeat(10000)); },
  '/endless-trailers': (s) => { s.write('HTTP/1.1 200 OK\\r\\ntransfer-encoding: chunked\\r\\n\\r\\n0\\r\\n'); pour(s, 'x: y\\r\\n'.repeat(100)); },
  '/short': (s) => s.end('HTTP/1.1 200 OK\\r\\ncontent-length: 100\\r\\n\\r\\nshort'),
  '/status-99': (s) => s.write('HTTP/1.1 099 No\\r\\ncontent-length: 0\\r\\n\\r\\n'),
  '/status-999': (s) => s.write('HTTP/1.1 999 No\\r\\ncontent-length: 0\\r\\n\\r\\n'),
  '/switch': (s) => s.write('HTTP/1.1 101 Switching Protocols\\r\\nupgrade: x\\r\\nconnection: upgrade\\r\\n\\r\\nraw'),
  '/continues': (s) => pour(s, 'HTTP/1.1 100 Continue\\r\\n\\r\\n'),
  '/silent': () => {},
  '/close': (s) => s.destroy(),
  '/endless-body': (s) => { s.write('HTTP/1.1 200 OK\\r\\n\\r\\n'); pour(s, Buffer.alloc(65536)); },
  '/dripping-body': (s) => { s.write('HTTP/1.1 200 OK\\r\\n\\r\\n'); drip(s, 'x'); },
  '/split': (s) => s.write(ok('one') + ok('two', 'x-forged: 1\\r\\n')),
  '/prints': (s) => { const flood = () => { while (process.stdout.write('x'.repeat(65536))); process.stdout.once('drain', flood); }; flood(); s.write(ok('printing')); },
  '/deaf': (s) => { s.end(ok('deaf')); listener.close(); },
  '/burn': (s) => { s.write(ok('burning')); setInterval(() => { const until = Date.now() + 40; while (Date.now() < until); }, 50); },
  '/remember': (s) => { writeFileSync('/tmp/secret', 'of a tenant'); s.write(ok('kept')); },
  '/recall': (s) => s.write(ok(attempt(() => readFileSync('/tmp/secret')))),
  '/neighbours': (s) => {
    const others = readdirSync('/proc').filter((n) => /^\\d+$/.test(n) && attempt(() => readFileSync('/proc/' + n + '/status', 'utf8').match(/Uid:\\s+(\\d+)/)[1]) === '65533');
    const each = others.map((n) => [attempt(() => readFileSync('/proc/' + n + '/environ')), attempt(() => readFileSync('/proc/' + n + '/mem')), attempt(() => readdirSync('/proc/' + n + '/fd')), attempt(() => readdirSync('/proc/' + n + '/root')), attempt(() => process.kill(+n, 9))].join(' '));
    s.write(ok(JSON.stringify(each)));
  },
  '/writable': (s) => s.write(ok(readFileSync('/proc/self/mounts', 'utf8').trim().split('\\n').map((line) => line.split(' '))
    .filter(([, path]) => attempt(() => writeFileSync(path + '/x', 'x')) === 'undefined').map(([, path, type]) => type + ' ' + path).join())),
  '/fork': (s) => { s.write(ok('forking')); const bomb = () => { const child = spawn(process.execPath, ['-e', 'for(;;);']); child.on('error', () => {}); setImmediate(bomb); }; bomb(); },
};
const listener = createServer((socket) => {
  socket.on('error', () => {});
  socket.on('data', (bytes) => paths[/^\\w+ (\\S+)/.exec(bytes.toString('latin1'))?.[1]]?.(socket));
});
if (process.env.FAIL) { console.error(process.env.FAIL); process.exit(9); }
if (!process.env.DEAF) listener.listen(Number(process.env.PORT), '127.0.0.1');
setInterval(() => {}, 1e6);
`;

/** Each path, and how a job that asks it must end. */
const attacks: Record<string, { outcome: string | RegExp; timeoutMs?: number; error?: RegExp }> = {
  '/garbage': { outcome: 'bad-response', error: /no HTTP/ },
  '/binary': { outcome: 'bad-response' },
  '/giant-header': { outcome: 'bad-response', error: /overflow/i },
  '/large-headers': { outcome: 'bad-response', error: /16384|large/ },
  '/many-headers': { outcome: 'bad-response', error: /100/ },
  '/endless-headers': { outcome: 'bad-response' },
  '/nul-header': { outcome: 'bad-response' },
  '/bare-line-feed': { outcome: 'bad-response' },
  '/two-lengths': { outcome: 'bad-response' },
  '/length-and-chunks': { outcome: 'bad-response' },
  '/huge-length': { outcome: 'bad-response' },
  '/negative-length': { outcome: 'bad-response' },
  '/huge-chunk': { outcome: 'bad-response' },
  '/endless-chunk-extension': { outcome: 'bad-response' },
  '/endless-trailers': { outcome: 'bad-response' },
  '/short': { outcome: 'function-failed', error: /before its answer was complete/ },
  '/status-99': { outcome: 'bad-response' },
  '/status-999': { outcome: 'bad-response' },
  '/switch': { outcome: 'bad-response' },
  '/continues': { outcome: 'timed-out', timeoutMs: 500 },
  '/silent': { outcome: 'timed-out', timeoutMs: 200 },
  '/close': { outcome: 'function-failed', error: /closed the connection/ },
  '/endless-body': { outcome: 'response-too-large' },
  '/dripping-body': { outcome: 'timed-out', timeoutMs: 300 },
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
    layer = await images.base({ node: true, files: { 'server.mjs': server } });
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
    instance.invoke(jobOf(undefined, { job: `job-${++jobs}`, method: 'GET', path, ...more }));
  const end = async (instance: Instance, path: string, more: Partial<Invocation> = {}) => {
    const result = await ask(instance, path, more);
    await bodyOf(result).catch(() => {});
    return result.finished;
  };

  it('ends each job as it deserves, says why, and serves on', async () => {
    let instance = await sandbox.start(imageProgram(image, 'http'));
    for (const [path, { outcome, error, timeoutMs = 10_000 }] of Object.entries(attacks)) {
      const usage = await end(instance, path, { timeoutMs });
      expect({ path, ...usage }).toMatchObject({ path, outcome: expect.stringMatching(outcome) as string });
      if (error) expect(usage.error).toMatch(error);
      // Who outstays its time is replaced.
      if (instance.accepting) expect(await textOf(await ask(instance, '/fine'))).toBe('fine');
      else instance = await sandbox.start(imageProgram(image, 'http'));
    }
    await instance.kill();
  });

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
