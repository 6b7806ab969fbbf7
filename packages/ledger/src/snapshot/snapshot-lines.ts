import {
  blockHeaderSchema,
  canonical,
  hex32,
  hex64,
  OrbError,
  parseWith,
  type BlockHeader,
  type Cosignature,
  type Hex64,
  type Json,
} from '@orb/protocol';
import { z } from 'zod';
import type { SignedHeader } from '../keeping.ts';

/*
 * A snapshot on its way or in a file, as lines of JSON:
 *
 *   {"v":1,"type":"orb-snapshot","header":…,"signature":…,"cosignatures":[{"key":…,"signature":…}],"count":N}
 *   [[key,value],…]          records of the state after that block, in any order, some hundred a line
 *   {"end":N}                so that a cut is noticed
 */

/** Every record of a ledger as of one block. */
export interface Snapshot {
  readonly header: BlockHeader;
  /** The orderer's. */
  readonly signature: Hex64;
  readonly cosignatures: readonly Cosignature[];
  readonly entries: ReadonlyMap<string, Json>;
}

const headSchema = z.strictObject({
  v: z.literal(1),
  type: z.literal('orb-snapshot'),
  header: blockHeaderSchema,
  signature: hex64,
  cosignatures: z.array(z.strictObject({ key: hex32, signature: hex64 })).max(256),
  count: z.int().min(1),
});
const entriesSchema = z.array(z.tuple([z.string().max(512), z.unknown()])).max(10_000);
const endSchema = z.strictObject({ end: z.int() });

/** Far above what a ledger's hot state holds; a stranger must not fill our memory. */
const entriesMax = 20_000_000;
const lineChars = 128 * 1024;

/** The lines of a snapshot, without line ends. */
export function* snapshotLines({ header, signature, cosignatures, entries }: Snapshot): Generator<string, void> {
  yield canonical({ v: 1, type: 'orb-snapshot', header, signature, cosignatures: cosignatures as unknown as Json, count: entries.size });
  let line: string[] = [];
  let chars = 0;
  for (const [key, value] of entries) {
    const text = JSON.stringify([key, value]);
    line.push(text);
    chars += text.length;
    if (chars < lineChars && line.length < 1_000) continue;
    yield `[${line.join(',')}]`;
    line = [];
    chars = 0;
  }
  if (line.length > 0) yield `[${line.join(',')}]`;
  yield `{"end":${entries.size}}`;
}

/** The block of a snapshot, which its first line names. @throws OrbError `protocol-violation` */
export async function readHead(lines: AsyncIterable<unknown>): Promise<SignedHeader> {
  for await (const line of lines) {
    const { header, signature } = parseWith(headSchema, line, 'snapshot', 'protocol-violation');
    return { header, signature };
  }
  throw new OrbError('protocol-violation', { message: 'The snapshot is empty.' });
}

/**
 * Reads a snapshot from its lines, already parsed. Whether it is true is not looked at: see `checkSnapshot`.
 * @throws OrbError `protocol-violation` when it is none, is cut off, or names a record twice; `too-large`
 */
export async function readSnapshot(lines: AsyncIterable<unknown>): Promise<Snapshot> {
  let head: z.output<typeof headSchema> | undefined;
  const entries = new Map<string, Json>();
  for await (const line of lines) {
    if (!head) {
      head = parseWith(headSchema, line, 'snapshot', 'protocol-violation');
      if (head.count > entriesMax) throw new OrbError('too-large', { message: `The snapshot has ${head.count} records.` });
    } else if (Array.isArray(line)) {
      // Their root is compared with the signed one: what a record holds needs no check of its own.
      for (const [key, value] of parseWith(entriesSchema, line, 'snapshot', 'protocol-violation')) entries.set(key, value as Json);
      if (entries.size > head.count) break;
    } else {
      const { end } = parseWith(endSchema, line, 'snapshot', 'protocol-violation');
      if (end !== head.count || entries.size !== head.count) break;
      const { header, signature, cosignatures } = head;
      return { header, signature, cosignatures, entries };
    }
  }
  throw new OrbError('protocol-violation', { message: 'The snapshot is not whole.', hint: 'Ask again, or ask another.' });
}
