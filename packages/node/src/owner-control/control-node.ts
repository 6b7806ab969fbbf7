import { connect } from 'node:net';
import { errorFromBody, OrbError } from '@orb/protocol';
import { controlAddress, controlLineBytes, type ControlRequest } from './control-protocol.ts';

/** How long a running node may take to answer, milliseconds. */
const answerMs = 5_000;

/**
 * Asks the node that runs on a data folder of this computer. A `status` is answered with a NodeStatus, everything else
 * with the status after it.
 * @throws OrbError `not-found` when no node runs there, or what the node answered
 */
export function controlNode(dataFolder: string, request: ControlRequest): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const socket = connect(controlAddress(dataFolder));
    const end = (error: OrbError) => {
      socket.destroy();
      reject(error);
    };
    let text = '';
    socket
      .setEncoding('utf8')
      .setTimeout(answerMs, () => end(new OrbError('internal', { message: 'The node does not answer its owner.' })));
    socket.on('connect', () => socket.write(`${JSON.stringify(request)}\n`));
    socket.on('error', (cause) => end(notRunning(dataFolder, cause)));
    socket.on('close', () => end(notRunning(dataFolder)));
    socket.on('data', (more: string) => {
      text += more;
      if (text.length > controlLineBytes.answer) return end(new OrbError('too-large', { message: 'The node’s answer is too long.' }));
      if (!text.includes('\n')) return undefined;
      const answer = JSON.parse(text) as { ok: boolean; result?: unknown; error?: unknown };
      if (!answer.ok) return end(errorFromBody(answer.error));
      resolve(answer.result);
      return socket.destroy();
    });
  });
}

function notRunning(dataFolder: string, cause?: unknown): OrbError {
  return new OrbError('not-found', { message: `No node is running on ${dataFolder}.`, hint: 'Start one: orb node start.', cause });
}
