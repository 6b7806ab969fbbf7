import { setPriority } from 'node:os';
import { childArgument, reportReady } from '../child.ts';
import type { Caller, CallTarget } from './caller.ts';
import { runClosedLoop, type LoadOptions, type LoadResult } from './closed-loop.ts';
import { FramesCaller } from './frames-caller.ts';
import { HttpCaller } from './http-caller.ts';
import { LinkCaller } from './link-caller.ts';
import { runOpenLoop, type OpenLoopOptions, type OpenLoopResult } from './open-loop.ts';
import { PayloadSource } from './payload.ts';
import { SdkCaller } from './sdk-caller.ts';
import { SocketIoCaller } from './socket-io-caller.ts';
import { WsCaller } from './ws-caller.ts';

/** Everything a caller process is started with. */
export interface CallerProcessOptions {
  readonly target: CallTarget;
  /** Names the process in its payloads. */
  readonly run: string;
}

/** What such a process is asked: one run, by the clock or with so many calls under way. Its answer is what came of it. */
export type CallerRequest = (LoadOptions | OpenLoopOptions) & { readonly bytes: number };

// The load generator: a process of its own, so that its processor time is its own too. It keeps its connections over
// all rounds, runs what it is told, and answers with the result.
const { target, run } = childArgument<CallerProcessOptions>();
const caller = await openCaller(target);
const sources = new Map<number, PayloadSource>();
process.on('message', (asked: CallerRequest) => {
  void answer(asked).then((result) => process.send?.(result));
});
reportReady('ready');

function answer(asked: CallerRequest): Promise<LoadResult | OpenLoopResult> {
  const payloads = payloadsOf(asked.bytes);
  if ('phases' in asked && asked.punctual === true) goFirst();
  return 'phases' in asked ? runOpenLoop(caller, payloads, asked) : runClosedLoop(caller, payloads, asked);
}

/**
 * Before the processes that are measured, which share its cores here and would not elsewhere: what it is late, they are charged
 * with. Only who may lets it; its lag is told in any case.
 */
function goFirst(): void {
  try {
    setPriority(-10);
  } catch {
    // Not root.
  }
}

/** One source for each size, over all runs: an id is used once. */
function payloadsOf(bytes: number): PayloadSource {
  const known = sources.get(bytes);
  if (known) return known;
  const made = new PayloadSource(`${run}${sources.size}`, bytes);
  sources.set(bytes, made);
  return made;
}

function openCaller(to: CallTarget): Promise<Caller> {
  switch (to.protocol) {
    case 'http':
      return Promise.resolve(new HttpCaller(to));
    case 'sdk':
      return Promise.resolve(new SdkCaller(to));
    case 'socket.io':
      return SocketIoCaller.open(to);
    case 'ws':
      return WsCaller.open(to);
    case 'link':
      return LinkCaller.open(to);
    case 'frames':
      return Promise.resolve(new FramesCaller(to));
  }
}
