import type { Instance, Invocation, InvocationResult, InvocationUsage, Lease } from '@orb/sandbox';
import type { Instances } from '../src/job/instances.ts';

export type InlineHandler = (invocation: Invocation) => Promise<Partial<InvocationResult> & { readonly usage?: Partial<InvocationUsage> }>;

/** Instances whose function is a closure of the test: for what no honest engine does, such as a spoilt head. */
export class InlineInstances implements Instances {
  readonly handler: InlineHandler;
  warm = true;
  leased = 0;
  failStart: Error | undefined;

  constructor(handler: InlineHandler) {
    this.handler = handler;
  }

  take(): Lease | undefined {
    return this.warm ? this.#lease() : undefined;
  }

  async acquire(): Promise<Lease> {
    for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate);
    if (this.failStart) throw this.failStart;
    return this.#lease();
  }

  isBusy(): boolean {
    return this.leased > 0;
  }

  forget(): void {}

  renew(): void {}

  async resize(): Promise<void> {}

  async clear(): Promise<void> {}

  async close(): Promise<void> {}

  #lease(): Lease {
    this.leased++;
    const instance: Instance = {
      active: 0,
      memoryKiB: 0,
      accepting: true,
      invoke: async (invocation) => {
        const { usage, ...result } = await this.handler(invocation);
        const completed: InvocationUsage = { outcome: 'ok', runUs: 1_500, cpuUs: 1_000, peakMemoryKiB: 2_048, ...usage };
        return { status: 200, headers: [], body: new Uint8Array(0), finished: Promise.resolve(completed), completed, ...result };
      },
      kill: async () => undefined,
      ended: new Promise(() => undefined),
    };
    return { instance, setupUs: 0, release: () => void this.leased-- };
  }
}
