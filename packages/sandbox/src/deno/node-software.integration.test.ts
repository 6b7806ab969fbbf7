import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { commonJsMark } from '../bundle-format.ts';
import { jobOf, programOf, textOf } from '../conformance.ts';
import { DenoSandbox } from './deno-sandbox.ts';

/** What software written for Node does when it is loaded or run, where the computer behind it is out of reach. */
describe.each([
  { format: 'CommonJS', load: (name: string) => `require('${name}')`, start: commonJsMark, answer: 'exports.default =' },
  {
    format: 'module',
    load: (name: string) => `process.getBuiltinModule('${name}')`,
    start: `import fsAgain from 'node:fs';`,
    answer: 'export default',
  },
])('a $format bundle of Node software', ({ format, load, start, answer }) => {
  let sandbox: DenoSandbox;
  beforeAll(() => {
    sandbox = new DenoSandbox({ spares: 1 });
  });
  afterAll(() => sandbox.close());

  /** What the handler returns, and what it writes. */
  async function run(body: string, env: Readonly<Record<string, string>> = {}): Promise<{ value: unknown; lines: string[] }> {
    const instance = await sandbox.start(programOf(`${start}\n${answer} async () => { ${body} };`, { env }));
    const lines: string[] = [];
    try {
      const result = await instance.invoke({ ...jobOf(null), log: (level, line) => lines.push(`${level}: ${line}`) });
      const usage = await result.finished;
      const text = await textOf(result);
      return { value: usage.outcome === 'ok' ? JSON.parse(text || 'null') : usage.error, lines };
    } finally {
      await instance.kill();
    }
  }

  it('logs by process.stdout and process.stderr, which carry frames, without harm', async () => {
    const { value, lines } = await run(`
      process.stdout.write('one\\ntwo\\n');
      process.stderr.write(Buffer.from('three'));
      await new Promise((done) => process.stdout.end('four', done));
      process.stdout.destroy();
      return [process.stdout.fd, process.stderr.isTTY];`);
    expect(value).toEqual([1, false]);
    expect(lines).toEqual(['info: one', 'info: two', 'error: three', 'info: four']);
  });

  it('has contexts of its own for what runs at once, and its lines still belong to their jobs', async () => {
    const instance = await sandbox.start(
      programOf(`${start}
        const { AsyncLocalStorage } = ${load('node:async_hooks')};
        const [whole, each] = [new AsyncLocalStorage(), new AsyncLocalStorage()];
        whole.enterWith('top');
        ${answer} (n) => each.run(n, async () => {
          for (let i = 0; i < 3; i++) {
            await new Promise((done) => setTimeout(done, (7 * n) % 5));
            console.log(n, each.getStore(), whole.getStore());
          }
          return each.exit(() => each.getStore() ?? 'outside');
        });`),
    );
    // A module is evaluated in a context that its handler does not run in.
    const top = format === 'CommonJS' ? 'top' : undefined;
    try {
      await Promise.all(
        Array.from({ length: 8 }, async (_, n) => {
          const lines: string[] = [];
          const result = await instance.invoke(jobOf(n, { job: `job-${n}`, log: (_level, line) => void lines.push(line) }));
          expect(await textOf(result)).toBe('"outside"');
          expect(lines).toEqual(Array.from({ length: 3 }, () => `${n} ${n} ${top}`));
        }),
      );
    } finally {
      await instance.kill();
    }
  });

  it('logs by fs.write and fs.writeSync to descriptors 1 and 2, whole or in part', async () => {
    const { value, lines } = await run(`
      const fs = ${load('node:fs')};
      const written = await new Promise((done) => fs.write(2, 'later\\n', (error, count) => done([error, count])));
      return [fs.writeSync(1, 'é\\n'), fs.writeSync(1, Buffer.from('abcdef'), 1, 3), ...written];`);
    expect(value).toEqual([3, 3, null, 6]);
    expect(lines).toEqual(['error: later', 'info: é', 'info: bcd']);
  });

  it('has an environment of its own that takes text, and of the computer’s nothing', async () => {
    const { value } = await run(`
      process.env.PORT ??= 80;
      const before = { ...process.env };
      delete process.env.PORT;
      return [before, process.env.PORT ?? null, process.env.HOME ?? null, 'PATH' in process.env];`);
    expect(value).toEqual([{ PORT: '80' }, null, null, false]);
  });

  it('finds the function’s own variables in process.env', async () => {
    const { value } = await run(`const first = process.env.GREETING; process.env.GREETING = 'bye'; return [first, process.env.GREETING];`, {
      GREETING: 'hello',
    });
    expect(value).toEqual(['hello', 'bye']);
  });

  it('asks for host, home and files without a throw', async () => {
    const { value } = await run(`
      const os = ${load('node:os')};
      return [os.hostname(), os.homedir(), os.tmpdir(), os.cpus().length, os.userInfo().username, os.totalmem() > 0,
        ${load('fs')}.existsSync('/etc/passwd')];`);
    expect(value).toEqual(['function', '/', '/tmp', 0, 'nobody', true, false]);
  });

  it('requires built-ins with and without node:, and is told with Node’s code what is not there', async () => {
    const { value } = await run(`
      const missing = (() => { try { require('left-' + 'pad'); } catch (error) { return error.code; } })();
      return [require('path') === require('node:path'), typeof require('stream/promises').pipeline, require.resolve('zlib'), missing];`);
    expect(value).toEqual([true, 'function', 'zlib', 'MODULE_NOT_FOUND']);
  });

  it('reads what it may not do in words for its owner, without the engine’s advice', async () => {
    expect((await run(`await fetch('https://example.com/')`)).value).toBe(
      'This function has no network: it is deployed without --network.',
    );
    expect((await run(`await Deno.connect({ hostname: 'example.com', port: 443 })`)).value).toBe(
      'A function has no net access to "example.com:443"',
    );
    expect((await run(`${load('fs')}.readFileSync('/etc/passwd')`)).value).toBe('A function has no read access to "/etc/passwd"');
  });

  it('may replace process, and then has what it put there', async () => {
    expect((await run(`globalThis.process = { mine: true }; return process.mine;`)).value).toBe(true);
  });
});
