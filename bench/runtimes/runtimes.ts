import { bareDenoRuntime } from './bare-deno-runtime.ts';
import { bareContainerRuntime, execRuntime } from './bare-docker-runtimes.ts';
import { jobRuntime, serverRuntime } from './container-runtimes.ts';
import { denoRuntime, wasmRuntime } from './deno-runtimes.ts';
import type { Runtime } from './runtime.ts';

/** Every runtime there is, each after the engine below it, in the order in which the table shows them. */
export const runtimes: readonly Runtime[] = [
  bareDenoRuntime,
  denoRuntime,
  wasmRuntime,
  bareContainerRuntime,
  serverRuntime,
  execRuntime,
  jobRuntime,
];
