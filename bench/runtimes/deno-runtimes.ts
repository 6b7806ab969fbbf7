import type { Program, Sandbox } from '@orb/sandbox';
import { DenoSandbox } from '@orb/sandbox/deno';
import { newBundle, newModule } from './functions.ts';
import type { OpenRuntime, Runtime } from './runtime.ts';
import { SandboxInstance } from './sandbox-instance.ts';

const memoryMiB = 128;
const restMs = 700;
/** What a program is started for. */
type Use = 'cold' | 'warm';

/** JavaScript in Orb's Deno sandbox, behind all its walls. */
export const denoRuntime: Runtime = {
  id: 'deno',
  name: 'Deno sandbox',
  missing: () => undefined,
  open: () => {
    // A start has to read all of a bundle, a call does not.
    const program = async (use: Use) => ({ kind: 'bundle' as const, ...newBundle(use === 'cold' ? 'large' : 'small'), memoryMiB });
    return openDeno(program, { concurrency: 64, streams: true });
  },
};

/** WebAssembly in the same sandbox: one call at a time. */
export const wasmRuntime: Runtime = {
  id: 'wasm',
  name: 'WebAssembly in the Deno sandbox',
  missing: () => undefined,
  open: () => openDeno(async () => ({ kind: 'wasm', ...(await newModule()), memoryMiB }), { concurrency: 1, streams: false }),
};

async function openDeno(
  program: (use: Use) => Promise<Program>,
  terms: { readonly concurrency: number; readonly streams: boolean },
): Promise<OpenRuntime> {
  const ready = new DenoSandbox({ spares: 1 });
  const bare = new DenoSandbox({ spares: 0 });
  await Promise.all([ready.probe(), bare.probe()]);
  const start = async (sandbox: Sandbox, use: Use) => new SandboxInstance(await sandbox.start(await program(use)), terms);
  return {
    rest: () => new Promise((resolve) => setTimeout(resolve, restMs)),
    async startCold(from, body) {
      const instance = await start(from === 'spare' ? ready : bare, 'cold');
      const answer = await instance.echo(body);
      void instance.stop();
      return answer;
    },
    startWarm: () => start(ready, 'warm'),
    async close() {
      await Promise.all([ready.close(), bare.close()]);
    },
  };
}
