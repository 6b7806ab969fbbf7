import { EventEmitter } from 'node:events';
import { expect, test } from 'vitest';
import type { CallReply } from '../call.ts';
import { EndedStreams } from './ended-streams.ts';
import type { ReplySink } from './reply-sink.ts';
import { sendReply } from './send-reply.ts';

/** The `server-timing` of a reply whose job took so long. */
function timingOf(prcUs: number, setupUs: number, runUs: number): string | undefined {
  let sent: readonly string[] = [];
  const sink = Object.assign(new EventEmitter(), {
    writeHead: (_: number, headers: readonly string[]) => (sent = headers),
    end: () => undefined,
  }) as unknown as ReplySink;
  const receipt = { request: '', result: '', bytesIn: 0, bytesOut: 0 };
  const reply = { headers: [], body: new Uint8Array(), status: 200, end: { prcUs, setupUs, runUs, receipt } } as unknown as CallReply;
  const request = { method: 'GET', version: '1.1', owner: 'bob', name: 'hello' } as const;
  sendReply(request, sink, reply, { streamIdleMs: 1_000, endedStreams: new EndedStreams(), sharedPages: false });
  return sent[sent.indexOf('server-timing') + 1];
}

test('times are told in milliseconds, to the microsecond', () => {
  for (const us of [0, 1, 9, 10, 99, 100, 999, 1_000, 1_001, 1_010, 59_999, 60_000, 12_345_678, 86_400_000_000]) {
    const [own, twice] = [(us / 1_000).toFixed(3), ((2 * us) / 1_000).toFixed(3)];
    expect(timingOf(us, us, us)).toBe(`prc;dur=${own}, setup;dur=${own}, run;dur=${own}, prv;dur=${twice}, cmp;dur=${twice}`);
  }
});
