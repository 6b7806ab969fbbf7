import { childArgument, reportReady } from '../child.ts';
import { measureRuntime, type RuntimeOptions } from './measure-runtime.ts';
import type { Engines } from './runtime.ts';
import { runtimes } from './runtimes.ts';

/** What the process is started with. */
export interface RuntimeArgument {
  readonly runtime: string;
  readonly engines: Engines;
}

// The host of one runtime's instances: a process of its own, so that its memory is its own too. It measures one round for
// each message, and answers with what it found.
const { runtime: id, engines } = childArgument<RuntimeArgument>();
const runtime = await runtimes.find((one) => one.id === id)!.open(engines);
process.on('message', (options: RuntimeOptions | 'close') => {
  if (options === 'close') void runtime.close().then(() => process.send?.('closed'));
  else
    void measureRuntime(runtime, options).then(
      (round) => process.send?.({ round }),
      (error: unknown) => process.send?.({ error: error instanceof Error ? error.message : String(error) }),
    );
});
reportReady('ready');
