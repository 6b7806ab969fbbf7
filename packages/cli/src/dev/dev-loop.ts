import { resolve } from 'node:path';
import { isOrbError, type OrbError } from '@orb/protocol';
import type { Deployment } from '../deploy/deploy-function.ts';
import { SourceWatch } from './source-watch.ts';

/** What happens while somebody writes a function. */
export type DevEvent =
  | { readonly type: 'deployed'; readonly deployment: Deployment; readonly ms: number; readonly isFirst: boolean }
  | { readonly type: 'failed'; readonly error: OrbError };

export interface DevLoopDependencies {
  readonly deploy: () => Promise<Deployment>;
  readonly signal: AbortSignal;
  readonly onEvent: (event: DevEvent) => void;
}

/**
 * Deploys a file, and again at each change of it or of what it imports, until `signal` aborts. What is wrong with the
 * source is an event, and the next change is another try.
 * @throws OrbError whatever else keeps the first deploy from working
 */
export async function devLoop(file: string, { deploy, signal, onEvent }: DevLoopDependencies): Promise<void> {
  const watch = new SourceWatch();
  const stopped = new Promise<'stopped'>((resolvePromise) => {
    signal.addEventListener('abort', () => resolvePromise('stopped'), { once: true });
  });
  let inputs: readonly string[] = [resolve(file)];
  let isFirst = true;
  try {
    // Watched before it is read: no save falls in between.
    watch.set(inputs, { any: true });
    while (!signal.aborted) {
      const since = performance.now();
      try {
        const deployment = await deploy();
        inputs = [resolve(file), ...deployment.bundle.inputs];
        watch.set(inputs);
        onEvent({ type: 'deployed', deployment, ms: performance.now() - since, isFirst });
        isFirst = false;
      } catch (error) {
        if (signal.aborted) return;
        if (!isOrbError(error) || (isFirst && !isSourceFault(error))) throw error;
        watch.set(inputs, { any: true });
        onEvent({ type: 'failed', error });
      }
      if ((await Promise.race([watch.changed(), stopped])) === 'stopped') return;
    }
  } finally {
    watch.close();
  }
}

function isSourceFault({ code }: OrbError): boolean {
  return code === 'bad-source' || code === 'too-large' || code === 'load-failed';
}
