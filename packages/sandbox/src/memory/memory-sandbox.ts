import { inspect } from 'node:util';
import { AsyncLocalStorage } from 'node:async_hooks';
import { OrbError } from '@orb/protocol';
import { createHarness } from '../harness/harness.js';
import { loadBundle } from '../harness/load.js';
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
      runtimes: ['deno-2'],
      layers: [{ name: 'none (in-process, for tests)', active: false, stops: 'nothing', remedy: 'Use the Deno adapter for code of others.' }],
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
      load: (code) =>
        loadBundle(code, {
          builtin: (name) => process.getBuiltinModule(name),
          importModule: (source) => import(`data:text/javascript;base64,${Buffer.from(source).toString('base64')}`),
        }),
      scope: { run: (value, work) => this.#scope.run(value, work), get: () => this.#scope.getStore() },
      format: (values) => values.map((value) => (typeof value === 'string' ? value : inspect(value))).join(' '),
    });
    this.#harness.ready();
  }

  write(bytes: Uint8Array): void {
    setImmediate(() => this.#harness?.reader.push(bytes));
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
    const { user, system } = process.cpuUsage();
    return { memoryKiB: 0, cpuUs: user + system };
  }
}
