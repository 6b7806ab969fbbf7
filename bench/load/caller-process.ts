import { childArgument, reportReady } from '../child.ts';
import type { Caller, CallTarget } from './caller.ts';
import { runClosedLoop, type LoadOptions } from './closed-loop.ts';
import { HttpCaller } from './http-caller.ts';
import { PayloadSource } from './payload.ts';
import { SocketIoCaller } from './socket-io-caller.ts';
import { WsCaller } from './ws-caller.ts';

/** Everything a caller process is started with. */
export interface CallerProcessOptions {
  readonly target: CallTarget;
  readonly payloadBytes: number;
  /** Names the process in its payloads. */
  readonly run: string;
}

// The load generator: a process of its own, so that its processor time is its own too. It keeps its connections over
// all rounds, runs what it is told, and answers with the result.
const { target, payloadBytes, run } = childArgument<CallerProcessOptions>();
const caller = await openCaller(target);
const payloads = new PayloadSource(run, payloadBytes);
process.on('message', (options: LoadOptions) => {
  void runClosedLoop(caller, payloads, options).then((result) => process.send?.(result));
});
reportReady('ready');

function openCaller(to: CallTarget): Promise<Caller> {
  switch (to.protocol) {
    case 'http':
      return Promise.resolve(new HttpCaller(to));
    case 'socket.io':
      return SocketIoCaller.open(to);
    case 'ws':
      return WsCaller.open(to);
  }
}
