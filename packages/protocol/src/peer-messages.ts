import { z } from 'zod';
import { sha256, verify, type Hex32, type Hex64, type Signer } from '#crypto';
import { fromHex, toHex } from './bytes.ts';
import { labels, statement, type Json } from './canonical.ts';
import { OrbError } from './errors.ts';
import type { ChainId } from './ids.ts';
import { receiptRowSchema, ticketRowSchema } from './job-row.ts';
import { limits } from './limits.ts';
import { callerSchema, runAnswerSchema, runRequestSchema, runTrailerSchema } from './messages.ts';
import { hex16, hex32, hex64, instantMs, jobIdText, sequence } from './schema.ts';

/*
 * What super nodes say to each other over a link; either side may. A call that enters at one (the entry) may run on a
 * node of the other (the host), which gives the ticket and settles it. See docs/decisions/0130.
 *
 *   call   presence   SignedPresence + list    → PresenceAnswer           the list only when the other may lack it
 *   call   forward    ForwardRequest + body    → ForwardAnswer + body, trailer ForwardTrailer
 *   call   fetch-code { sha256 }               → {} + the code            of versions on the ledger alone
 *   notice received   Received                 entry → host: what became of the answer
 */

const count = z.int().min(0).max(10_000_000);

/** What a super node says of itself: a hint for placing calls, never a promise. Members of a later version stay: the signature covers them. */
export const presenceSchema = z.looseObject({
  v: z.literal(1),
  chain: hex32,
  superNode: hex32,
  /** Rises with every presence, also over restarts. */
  sequence,
  /** Not to be believed later, sender's wall clock. */
  expires: instantMs,
  /** Slots of its nodes that are free now. */
  freeSlots: count,
  /** Calls under way, and calls that wait for a slot. */
  running: count,
  waiting: count,
  /** Smoothed time from dispatch to answer over its nodes, whole milliseconds; null before the first job. */
  answerMs: count.nullable(),
  /** SHA-256 of the {@link encodeSeeds} list of what it has ready seeders for. */
  seeds: hex32,
  /**
   * How many of the list are ids of replicas; the others are those of their versions, for super nodes of the version
   * before. Left out by these: they list versions alone.
   */
  replicas: count.optional(),
});
/** A presence as read. */
export type Presence = z.output<typeof presenceSchema>;

/** A presence and the signature of the super node's key over it. */
export const signedPresenceSchema = z.object({ presence: presenceSchema, signature: hex64 });
/** A signed presence as read. */
export type SignedPresence = z.output<typeof signedPresenceSchema>;

/** `known` is false when the receiver lacks the list that the presence names: send it with the next one. */
export const presenceAnswerSchema = z.object({ known: z.boolean() });

/** The statement that a presence's signature covers. */
function presenceBytes(presence: Presence): Uint8Array {
  return statement(labels.presence, presence as unknown as Json);
}

/** Signs what a super node says of itself. */
export function signPresence(presence: Presence, signer: Signer): SignedPresence {
  return { presence, signature: signer.sign(presenceBytes(presence)) };
}

/** What the receiver of a presence knows by itself. */
export interface PresenceCheck {
  readonly chain: ChainId;
  /** Id and key of the super node at the other end. */
  readonly superNode: Hex32;
  readonly key: Hex32;
  /** The highest sequence seen of it. */
  readonly after: number;
}

/** @throws OrbError `protocol-violation` for another network's, another's, an older or an unsigned one */
export function checkPresence({ presence, signature }: SignedPresence, { chain, superNode, key, after }: PresenceCheck): void {
  const wrong = (why: string) => new OrbError('protocol-violation', { message: `A presence ${why}.` });
  if (presence.chain !== chain) throw wrong('is for another network');
  if (presence.superNode !== superNode) throw wrong('is of another super node');
  if (presence.sequence <= after) throw wrong(`has the number ${presence.sequence}, and ${after} was there already`);
  if (!verify(key, presenceBytes(presence), signature as Hex64)) throw wrong('is not signed by its super node');
}

/** Bytes of one entry: the id, then the number of seeders, big-endian. */
const entryBytes = 34;
const maxSeeders = 0xffff;
/** The longest list there can be. */
export const presenceListBytes = entryBytes * limits.presenceEntries;

/** Replicas and versions with their ready seeders as bytes, ascending by id; of more than fit, the first are taken. */
export function encodeSeeds(seeds: ReadonlyMap<Hex32, number>): Uint8Array {
  const ids = [...seeds.keys()].sort().slice(0, limits.presenceEntries);
  const bytes = new Uint8Array(ids.length * entryBytes);
  for (const [i, id] of ids.entries()) {
    const ready = Math.min(seeds.get(id)!, maxSeeders);
    bytes.set(fromHex(id), i * entryBytes);
    bytes.set([ready >> 8, ready & 0xff], i * entryBytes + 32);
  }
  return bytes;
}

/** @throws OrbError `protocol-violation` unless it is a list as {@link encodeSeeds} makes it, with the hash that the presence names */
export function decodeSeeds(bytes: Uint8Array, hash: Hex32): Map<Hex32, number> {
  const wrong = (why: string) => new OrbError('protocol-violation', { message: `A presence’s list of versions ${why}.` });
  if (bytes.byteLength % entryBytes !== 0 || bytes.byteLength > presenceListBytes) throw wrong('has a wrong length');
  if (sha256(bytes) !== hash) throw wrong('is not the one that the presence names');
  const seeds = new Map<Hex32, number>();
  let before = '';
  for (let at = 0; at < bytes.byteLength; at += entryBytes) {
    const id = toHex(bytes.subarray(at, at + 32));
    const ready = (bytes[at + 32]! << 8) | bytes[at + 33]!;
    if (id <= before || ready === 0) throw wrong('is not in order');
    seeds.set(id, ready);
    before = id;
  }
  return seeds;
}

/** The longest that a call may have been at its entry before it is handed over: longer than any queue holds it. */
export const maxWaitedUs = 600_000_000;

/** A caller's signature on a request as the super node got it that was called. */
export const callerSignatureSchema = z.object({
  /** Path and query at the entry's gateway, whole. */
  target: z.string().max(limits.pathBytes + 256),
  'content-digest': z.string().max(256),
  'signature-input': z.string().max(1_024),
  signature: z.string().max(256),
});
/** A caller's signature as read. */
export type CallerSignature = z.output<typeof callerSignatureSchema>;

/** A call for a node of the host. The body is the call's body. */
export const forwardRequestSchema = z.object({
  call: hex16,
  /** Number of its next job. */
  attempt: z.int().min(1).max(64),
  owner: z.string().max(limits.accountNameChars),
  name: z.string().max(limits.functionNameChars),
  version: hex32,
  method: runRequestSchema.shape.method,
  path: runRequestSchema.shape.path,
  headers: runRequestSchema.shape.headers,
  mode: runRequestSchema.shape.mode,
  /** How long the call has been at the entry, microseconds: T_prc and T_rsp count from there. */
  waitedUs: z.int().min(0).max(maxWaitedUs),
  /** The body streams: its hash stands in the receipt. */
  streamed: z.literal(true).optional(),
  /** Where the function is private: who asked. */
  signed: callerSignatureSchema.optional(),
  /** Who made it, where the entry knows; what a private function asks for is `signed`. */
  caller: callerSchema.optional(),
  /** Functions that wait for this call, outermost first, where a function makes it. */
  callers: z.array(hex32).max(limits.callDepth).optional(),
});
/** A forwarded call as read. */
export type ForwardRequest = z.output<typeof forwardRequestSchema>;

/** How a forwarded call ended: the answer's head, its body follows; or why there is none. */
export const forwardAnswerSchema = z.discriminatedUnion('ended', [
  z.object({
    ended: z.literal('answered'),
    ...runAnswerSchema.shape,
    /** Where the body streams: which job makes it, and where. */
    job: z.object({ ticket: ticketRowSchema, node: hex32 }).optional(),
  }),
  z.object({
    ended: z.literal('failed'),
    /** False when no handler has been called: safe elsewhere. */
    started: z.boolean(),
    /** Jobs that were tried. */
    attempts: z.int().min(0).max(64),
    /** An error body: whatever it holds, {@link errorFromBody} makes one of ours of it. */
    error: z.unknown(),
  }),
]);
/** The head of a forwarded call's answer as read. */
export type ForwardAnswer = z.output<typeof forwardAnswerSchema>;

/** What the entry checks before it replies. */
export const forwardTrailerSchema = z.object({
  ticket: ticketRowSchema,
  receipt: receiptRowSchema,
  node: hex32,
  /** T_prc as the host saw it, microseconds. */
  prcUs: z.int().min(0).max(limits.jobMicroseconds),
  /** The function's own message where the outcome is not `ok`. */
  error: z.string().max(limits.errorMessageChars).optional(),
  errorType: runTrailerSchema.shape.errorType,
});
/** A trailer as read. */
export type ForwardTrailer = z.output<typeof forwardTrailerSchema>;

/** Whether the caller has the answer. */
export const receivedSchema = z.object({ job: jobIdText, received: z.boolean() });
/** The entry's word as read. */
export type Received = z.output<typeof receivedSchema>;
