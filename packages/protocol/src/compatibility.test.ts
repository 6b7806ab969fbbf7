import { readFileSync, readdirSync } from 'node:fs';
import type { z } from 'zod';
import { expect, test } from 'vitest';
import { vectorFiles } from '../vectors/generate.ts';
import type { linkMessages } from '../vectors/link-message-vectors.ts';
import * as callerMessages from './caller-messages.ts';
import * as messages from './messages.ts';
import * as peerMessages from './peer-messages.ts';

/** What is checked by hand is handed on as it came. */
function read(check: (value: unknown) => unknown): Pick<z.ZodType, 'parse'> {
  return { parse: (value) => (check(value), value) };
}

/*
 * Two versions stand side by side while a network is upgraded, process by process. vectors/previous/ holds what the
 * version before wrote; docs/decisions/0251 says what a new version may change.
 */
const schemas: Readonly<Record<keyof typeof linkMessages, Pick<z.ZodType, 'parse'>>> = {
  offer: messages.offerSchema,
  offerAnswer: messages.offerAnswerSchema,
  signedRoot: messages.signedRootSchema,
  seedRequest: messages.seedRequestSchema,
  seedAnswer: messages.seedAnswerSchema,
  fetching: messages.fetchingSchema,
  secretsRequest: messages.secretsRequestSchema,
  secretsAnswer: messages.secretsAnswerSchema,
  drop: messages.dropSchema,
  runRequest: messages.runRequestSchema,
  runAnswer: messages.runAnswerSchema,
  runTrailer: messages.runTrailerSchema,
  nestedCall: messages.nestedCallSchema,
  unsettledRequest: messages.unsettledRequestSchema,
  unsettledAnswer: messages.unsettledAnswerSchema,
  jobNotice: messages.jobNoticeSchema,
  logs: messages.logsSchema,
  signedPresence: peerMessages.signedPresenceSchema,
  presenceAnswer: peerMessages.presenceAnswerSchema,
  forwardRequest: peerMessages.forwardRequestSchema,
  forwardAnswer: peerMessages.forwardAnswerSchema,
  forwardFailure: peerMessages.forwardAnswerSchema,
  forwardTrailer: peerMessages.forwardTrailerSchema,
  received: peerMessages.receivedSchema,
  callerToken: read(() => undefined),
  callerRequest: read(callerMessages.readCallerRequest),
  callerAnswer: read(callerMessages.readCallerAnswer),
  callerAnswerEnd: read(callerMessages.readJobEnd),
};
const names = Object.keys(schemas) as (keyof typeof schemas)[];

const previousFolder = new URL('../vectors/previous/', import.meta.url);
const readFile = (url: URL) => JSON.parse(readFileSync(url, 'utf8'));
const previous = readFile(new URL('link-messages.json', previousFolder)).messages as Record<string, object | undefined>;
const current = readFile(new URL('../vectors/link-messages.json', import.meta.url)).messages as Record<string, object>;

test.each(names)('%s: what the previous version sends is read', (name) => {
  const before = previous[name];
  if (before) expect(schemas[name].parse(before)).toMatchObject(before);
});

test.each(names)('%s: what this version sends holds all that the previous one needs', (name) => {
  expect(schemas[name].parse(current[name])).toEqual(current[name]);
  expect(current[name]).toMatchObject(previous[name] ?? {});
});

test.each(names)('%s: members that only the next version knows are ignored', (name) => {
  // Anything may be in a transaction or an error: they are read by rules of their own.
  const opaque = new Set(['transaction', 'rotations', 'error']);
  const widen = (value: unknown, key = ''): unknown => {
    if (typeof value !== 'object' || value === null || opaque.has(key)) return value;
    if (Array.isArray(value)) return value.map((entry) => widen(entry));
    const entries = Object.entries(value).map(([member, inner]) => [member, member === 'labels' ? inner : widen(inner, member)] as const);
    return { ...Object.fromEntries(entries), fromTheNextVersion: { any: 1 } };
  };
  expect(schemas[name].parse(widen(current[name]))).toMatchObject(current[name]!);
});

test.each(readdirSync(previousFolder))('%s: ids, signatures and hashes of the previous version are still what they were', (file) => {
  contains(JSON.parse(JSON.stringify(vectorFiles[file]!())), readFile(new URL(file, previousFolder)), file);
});

/** Members and list entries may be added; none may change or go, but what was not supported then may be now. */
function contains(now: unknown, before: unknown, path: string): void {
  if (typeof before !== 'object' || before === null) return expect(now, path).toBe(before);
  if (!Array.isArray(before)) {
    for (const [key, value] of Object.entries(before))
      contains((now as Record<string, unknown> | undefined)?.[key], value, `${path}.${key}`);
    return;
  }
  const left = new Set((now as unknown[] | undefined)?.map((entry) => JSON.stringify(entry)));
  for (const [i, entry] of before.entries()) {
    if ((entry as { code?: unknown } | null)?.code === 'not-supported') continue;
    if (!left.has(JSON.stringify(entry))) contains((now as unknown[] | undefined)?.[i], entry, `${path}[${i}]`);
  }
}
