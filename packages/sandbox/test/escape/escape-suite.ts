import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it, type TestContext } from 'vitest';
import { isOrbError, type IsolationTier } from '@orb/protocol';
import { bodyOf, jobOf, textOf } from '../../src/conformance/jobs.ts';
import type { Instance, Invocation, Program, Sandbox } from '../../src/port.ts';
import { attemptsOf, titleOf, type Attempt, type Column } from './tries.ts';

/** More than a node's own memory moves by itself while it serves. */
const mostGrowthBytes = 256 * 1_048_576;
const answered = /^(ok|bad-response|response-too-large)$/;
const ownPlaces = /\/work\/|\/packages\/|node_modules|file:\/\/\/(?!usr|etc)|root:x/;

const zipBomb: Partial<Invocation> = {
  headers: [['content-encoding', 'gzip']],
  body: new Uint8Array(gzipSync(Buffer.alloc(512 * 1_048_576, 'a'), { level: 1 })),
};

export interface EscapesOptions {
  readonly column: Column;
  /** What the machine must be able to enforce for this to mean something. */
  readonly tier: IsolationTier;
  /** Only one way for each try. @default false */
  readonly first?: boolean;
  /** One instance makes all attempts that leave it able to; else each has its own. @default false */
  readonly shared?: boolean;
  open(): Sandbox;
  program(attempt: Attempt): Promise<Program>;
  /** The call that makes the attempt. @default an event of 1 */
  ask?(attempt: Attempt): Partial<Invocation>;
  /** A function of somebody else's, which has to be well all the time. */
  good(): Promise<Program>;
  /** Its call, and its answer. @default 41, whose answer is 42 */
  readonly call?: { readonly ask: Partial<Invocation>; readonly answer: string };
}

/**
 * Makes every attempt of a column, and asks each time: is it stopped, is the caller told why, are others served before,
 * meanwhile and after.
 */
export function escapesOf(name: string, options: EscapesOptions): void {
  const { ask = () => ({}), call = { ask: {}, answer: '42' } } = options;
  describe(name, () => {
    let sandbox: Sandbox;
    let other: Instance;
    let shared: Instance | undefined;
    let reason: string | undefined;
    let before = 0;
    let jobs = 0;
    beforeAll(async () => {
      sandbox = options.open();
      reason = await whyNot(sandbox, options.tier);
      if (reason === undefined) other = await sandbox.start(await options.good());
      before = process.memoryUsage.rss();
    });
    afterAll(() => sandbox?.close());
    const skipWhere = (context: TestContext) => reason !== undefined && context.skip(reason);
    const job = (value: unknown, more: Partial<Invocation>) => jobOf(value, { job: `job-${++jobs}`, ...more });
    const isServed = async (instance: Instance) =>
      expect((await textOf(await instance.invoke(job(41, { timeoutMs: 60_000, ...call.ask })))).trim()).toBe(call.answer);

    async function attemptIn(program: Program, attempt: Attempt): Promise<void> {
      const { outcome = 'function-failed', error, says, timeoutMs = 10_000, unread } = attempt;
      if (!shared?.accepting) shared = await sandbox.start(program);
      const instance = shared;
      let isWell = false;
      try {
        const running = instance.invoke(job(1, { timeoutMs, ...(attempt.bomb && zipBomb), ...ask(attempt) }));
        await isServed(other);
        const result = await running;
        const text = unread ? '' : Buffer.from(await bodyOf(result).catch(() => new Uint8Array())).toString();
        const usage = await result.finished;
        isWell = answered.test(usage.outcome);
        expect({ text, ...usage }).toMatchObject({ outcome: expect.stringMatching(asPattern(outcome)) as string });
        if (usage.outcome !== 'ok') expect(usage.error).toMatch(error ?? /\w{3}/);
        if (says) expect(text).toMatch(says);
        expect((usage.error ?? '') + text).not.toMatch(ownPlaces);
      } finally {
        // Who may have broken more than its call is not asked again.
        if (!options.shared || !isWell) {
          shared = undefined;
          await instance.kill();
        }
      }
    }

    async function loadIn(program: Program, code: string): Promise<void> {
      const loading = sandbox.start(program).catch((error: unknown) => error);
      await isServed(other);
      const failure = await loading;
      if (!isOrbError(failure)) throw new Error('It was loaded.', { cause: failure });
      expect(failure.code).toBe(code);
      expect(failure.message).toMatch(/\w{3}/);
      expect(failure.message).not.toMatch(ownPlaces);
    }

    for (const { what, attempt } of attemptsOf(options.column, options)) {
      it(titleOf(what, attempt), async (context) => {
        skipWhere(context);
        const program = await options.program(attempt);
        await (attempt.loads === undefined ? attemptIn(program, attempt) : loadIn(program, attempt.loads));
        // Where instances are costly, the next attempt asks that.
        if (!options.shared) await isServed(other);
      });
    }

    it('after all that the node is as before: it starts functions anew, and has not grown', async (context) => {
      skipWhere(context);
      await isServed(await sandbox.start(await options.good()));
      expect((await sandbox.probe()).tier).toBe(options.tier);
      expect(process.memoryUsage.rss() - before).toBeLessThan(mostGrowthBytes);
    });
  });
}

/** On CI a machine without the tier is a failure. */
async function whyNot(sandbox: Sandbox, tier: IsolationTier): Promise<string | undefined> {
  const report = await sandbox.probe();
  if (report.tier === tier) return undefined;
  const missing = report.layers.filter(({ active }) => !active).map(({ name, remedy }) => `${name}: ${remedy ?? ''}`);
  const reason = `This machine offers ${report.tier}, not ${tier}. ${missing.join(' ')}`;
  if (process.env['CI'] === 'true') throw new Error(reason);
  return reason;
}

const asPattern = (outcome: string | RegExp) => (typeof outcome === 'string' ? new RegExp(`^${outcome}$`) : outcome);
