import { AsyncLocalStorage } from 'node:async_hooks';
import { randomUUID } from 'node:crypto';
import { inspect } from 'node:util';
import { fromUtf8, OrbError, utf8 } from '@orb/protocol';
import { createHarness } from '../harness/harness.js';
import { commonJsMark, loadBundle } from '../harness/load.js';
import type { Channel, ChannelEnd, ChannelUsage } from '../host/channel.ts';
import { HostedInstance } from '../host/hosted-instance.ts';
import type { Instance, Program, Sandbox, SandboxReport } from '../port.ts';

/**
 * Runs functions inside this very process, through the same harness and the same host as the Deno adapter. It isolates
 * NOTHING: no limit on memory, no way to stop an endless loop, the whole computer in reach. For tests of other rooms,
 * with code they wrote themselves.
 */
export class MemorySandbox implements Sandbox {
  readonly #instances = new Set<HostedInstance>();
  #closed = false;

  probe(): Promise<SandboxReport> {
    return Promise.resolve({
      tier: 'process',
      runtimes: ['deno-2', 'wasi-1'],
      layers: [
        { name: 'none (in-process, for tests)', active: false, stops: 'nothing', remedy: 'Use the Deno adapter for code of others.' },
      ],
    });
  }

  async start(program: Program): Promise<Instance> {
    if (this.#closed) throw new OrbError('sandbox-failed', { message: 'The sandbox is closed.' });
    const instance = new HostedInstance(new MemoryChannel());
    this.#instances.add(instance);
    void instance.ended.then(() => this.#instances.delete(instance));
    try {
      await instance.load(program);
    } catch (error) {
      await instance.kill();
      throw error;
    }
    return instance;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#instances].map((instance) => instance.kill()));
  }
}

/** Frames cross a turn of the event loop in both directions, as between processes. */
class MemoryChannel implements Channel {
  readonly #scope = new AsyncLocalStorage<unknown>();
  #harness: ReturnType<typeof createHarness> | undefined;
  #onEnd: ((end: ChannelEnd) => void) | undefined;

  listen(onBytes: (bytes: Uint8Array) => void, onEnd: (end: ChannelEnd) => void): void {
    this.#onEnd = onEnd;
    this.#harness = createHarness({
      write: (bytes) => {
        const copy = bytes.slice();
        setImmediate(() => {
          if (this.#harness) onBytes(copy);
        });
      },
      load: (code) => this.#load(code),
      scope: { run: (value, work) => this.#scope.run(value, work), get: () => this.#scope.getStore() },
      tidy: () => undefined,
      format: (values) => values.map((value) => (typeof value === 'string' ? value : inspect(value))).join(' '),
    });
    this.#harness.ready();
  }

  /** Loads the code with a `console` and a `fetch` of its own, which leaves those of this process alone. */
  async #load(code: Uint8Array): Promise<unknown> {
    const name = Symbol.for(`orb memory sandbox ${randomUUID()}`);
    const at =
      (level: number) =>
      (...values: unknown[]) =>
        this.#harness?.log(level, values);
    const harness = this.#harness!;
    const fetch = (input: unknown, init?: unknown) => harness.fetch(input, init);
    const console = { debug: at(0), trace: at(0), log: at(1), info: at(1), dir: at(1), table: at(1), warn: at(2), error: at(3) };
    Object.defineProperty(globalThis, name, { value: { console, fetch }, configurable: true });
    // On the line of the code's first, so that the lines of stacks stay right.
    const mark = fromUtf8(code).startsWith(commonJsMark) ? `${commonJsMark}\n` : '';
    const source = utf8(
      `${mark}const { console, fetch } = globalThis[Symbol.for(${JSON.stringify(name.description)})];${fromUtf8(code).slice(mark.length)}`,
    );
    try {
      return await loadBundle(source, {
        builtin: (builtin) => process.getBuiltinModule(builtin),
        importModule: (text) => import(`data:text/javascript;base64,${Buffer.from(text).toString('base64')}`),
      });
    } finally {
      Reflect.deleteProperty(globalThis, name);
    }
  }

  write(bytes: Uint8Array): void {
    // A plain view, because what a handler gets must not be Node's Buffer.
    const plain = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    setImmediate(() => this.#harness?.reader.push(plain));
  }

  drained(): Promise<void> {
    return Promise.resolve();
  }

  kill(): void {
    this.#harness = undefined;
    setImmediate(() => this.#onEnd?.({ reason: 'The instance was stopped.', outOfMemory: false }));
  }

  busy(): void {}

  usage(): ChannelUsage {
    // All instances share one thread, so none has used more processor time than has passed; asking the system costs more.
    return { memoryKiB: 0, cpuUs: Math.round(performance.now() * 1000) };
  }
}
