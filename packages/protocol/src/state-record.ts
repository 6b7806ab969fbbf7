import { z } from 'zod';
import { sha256Bytes, type Hex32 } from '#crypto';
import { fromHex, toHex, utf8 } from './bytes.ts';
import { OrbError } from './errors.ts';
import { hex32 } from './schema.ts';

/*
 * One record of the ledger's state with its way up to the state root: docs/reference/formats.md, "State". The value
 * travels as its canonical JSON, so that whoever checks hashes the very text that was signed.
 */
const ascii = (most: number) => z.string().regex(new RegExp(`^[\\x20-\\x7e]{1,${most}}$`), `must be at most ${most} printable characters`);

/** A record of the state, and the siblings from the root down to it. */
export const stateRecordSchema = z.strictObject({
  key: ascii(512),
  /** Canonical JSON of the value. */
  text: ascii(32_768),
  path: z.array(hex32).max(256),
});
/** A record of the state as read. */
export type StateRecord = z.output<typeof stateRecordSchema>;

/** The state root that a record and its path lead to. */
export function stateRootFrom({ key, text, path }: StateRecord): Hex32 {
  const place = sha256Bytes(utf8(key));
  let hash = hashOf(0, place, sha256Bytes(utf8(text)));
  for (let depth = path.length - 1; depth >= 0; depth--) {
    const sibling = fromHex(path[depth]!);
    const isRight = ((place[depth >> 3]! >> (7 - (depth & 7))) & 1) === 1;
    hash = isRight ? hashOf(1, sibling, hash) : hashOf(1, hash, sibling);
  }
  return toHex(hash);
}

/**
 * The values of records that all stand under one state root, by key.
 * @throws OrbError `bad-signature` for one that does not
 */
export function provenRecords(records: readonly StateRecord[], root: Hex32): ReadonlyMap<string, unknown> {
  return new Map(
    records.map((record) => {
      if (stateRootFrom(record) !== root) {
        throw new OrbError('bad-signature', { message: `The record ${record.key} does not stand in the state that the block names.` });
      }
      return [record.key, parsed(record)];
    }),
  );
}

function parsed({ key, text }: StateRecord): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new OrbError('bad-signature', { message: `The record ${key} is not JSON.`, cause });
  }
}

function hashOf(prefix: 0 | 1, first: Uint8Array, second: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(65);
  bytes[0] = prefix;
  bytes.set(first, 1);
  bytes.set(second, 33);
  return sha256Bytes(bytes);
}
