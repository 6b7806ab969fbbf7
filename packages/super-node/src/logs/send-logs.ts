import type { ServerResponse } from 'node:http';
import type { FunctionId } from '@orb/protocol';
import { readNumber } from '../gateway/read-json.ts';
import type { LogBook, LogEntry } from './log-book.ts';

interface LogQuery {
  readonly after: number;
  readonly tail: number;
  readonly follow: boolean;
}

/** What may wait for a reader who is slow, bytes. */
const backlogBytes = 524_288;
const heartbeatMs = 15_000;

/** @throws OrbError `invalid-request` */
export function readLogQuery(query: Readonly<Record<string, string | undefined>>): LogQuery {
  return {
    after: readNumber(query['after'], 'after', { min: 0, max: Number.MAX_SAFE_INTEGER, default: 0 }),
    tail: readNumber(query['tail'], 'tail', { min: 0, max: 1_000, default: 100 }),
    follow: readNumber(query['follow'], 'follow', { min: 0, max: 1, default: 0 }) === 1,
  };
}

/**
 * Sends a function's log as NDJSON; following goes on until the reader has gone. A reader that is too slow loses
 * lines, not our memory, and is told how many.
 * @param open takes the answer over from whoever would report an error
 * @throws OrbError `overloaded` when too many follow; nothing is sent then
 */
export function sendLogs(fn: FunctionId, { after, tail, follow }: LogQuery, open: () => ServerResponse, book: LogBook): void {
  let skipped = 0;
  const reader: { raw?: ServerResponse } = {};
  const send = (entry: LogEntry) => {
    const { raw } = reader;
    if (!raw) return;
    if (raw.writableLength > backlogBytes) {
      skipped += 'dropped' in entry ? entry.dropped : 1;
      return;
    }
    if (skipped > 0) raw.write(`${JSON.stringify({ seq: entry.seq - 1, atMs: entry.atMs, dropped: skipped })}\n`);
    skipped = 0;
    raw.write(`${JSON.stringify(entry)}\n`);
  };
  const stop = follow ? book.follow(fn, send) : undefined;
  const response = open();
  reader.raw = response;
  response.writeHead(200, { 'content-type': 'application/x-ndjson', 'cache-control': 'no-store', 'x-accel-buffering': 'no' });
  response.flushHeaders();
  for (const entry of book.read(fn, after, tail)) response.write(`${JSON.stringify(entry)}\n`);
  if (!stop) {
    response.end();
    return;
  }
  const heartbeat = setInterval(() => response.writableLength === 0 && response.write('\n'), heartbeatMs).unref();
  response.on('close', () => {
    clearInterval(heartbeat);
    stop();
  });
}
