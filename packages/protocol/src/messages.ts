import { z } from 'zod';
import { receiptRowSchema, ticketRowSchema } from './job-row.ts';
import { limits } from './limits.ts';
import { isolationTiers } from './manifest.ts';
import { networkPolicySchema } from './network.ts';
import { hex32, hex64, jobIdText, labelsRecord, rate, sequence } from './schema.ts';

/*
 * What nodes and super nodes say to each other over a link. `call`s are answered, `notice`s are not. All headers are
 * JSON objects; bodies are bytes.
 *
 *   node → super node
 *     call   offer      Offer + replica ids  → OfferAnswer            when the link opens, and at each change
 *     call   fetch-code { sha256 }           → {} + the code
 *     call   call       NestedCallRequest + body → RunAnswer + body   a function that it runs calls another
 *     notice setting-up { job }              the job waits for a cold start: not started yet, safe to try elsewhere
 *     notice started    { job }              after setting-up: the handler has the call now
 *     notice logs       Logs                 lines that functions wrote; before the answer of their job
 *     notice receipts   SignedRoot           root over the receipts of one batch, in the order of their indexes
 *     notice fetching   Fetching             how far the image of a version is that it was asked to seed; a few a second
 *   super node → node
 *     call   seed       SeedRequest          → SeedAnswer
 *     call   secrets    SecretsRequest + box → SecretsAnswer          the function's secrets, sealed to the node
 *     notice drop       Drop                 the version is no longer wanted; proof is the control transaction
 *     call   run        RunRequest + body    → RunAnswer + body, trailer RunTrailer
 *     notice tickets    SignedRoot           root of the tickets sent since the last one
 *     notice settled    { batch }            receipts up to this batch are on the ledger
 *     call   unsettled  UnsettledRequest     → {} + UnsettledAnswer as JSON: rows that the super node has not got
 *
 * A super node and a node, or two super nodes, may be one version apart (docs/decisions/0251): a reader ignores members,
 * notices and calls that it does not know, a new member is optional, and what must not be ignored is offered first.
 */

/** What a node lends. */
export const offerSchema = z.object({
  v: z.literal(1),
  platform: z.string().regex(/^[a-z0-9]{1,16}$/),
  architecture: z.string().regex(/^[a-z0-9_]{1,16}$/),
  runtimes: z.array(z.string().regex(/^[a-z0-9][a-z0-9.-]{0,31}$/)).max(16),
  isolation: z.enum(isolationTiers),
  cores: z.number().min(0.1).max(1_024),
  memoryMiB: z.int().min(limits.memoryMiB.min).max(16_777_216),
  /** Base units per MiB·ms that it asks. */
  rate,
  /** Jobs that it runs at once. */
  slots: z.int().min(0).max(100_000),
  labels: labelsRecord,
  /** False while its owner has paused it: it finishes what it has and takes nothing new. */
  accepting: z.boolean(),
  /** Version ids that it holds, ready to run, for super nodes of the version before: so many as have room here. */
  seeds: z.array(hex32).max(10_000),
  /** How many replicas it holds; their ids are the body. Left out by nodes of the version before. */
  replicas: z.int().min(0).max(limits.nodeReplicas).optional(),
  /** Number of the last receipts root it has signed for this super node. */
  lastBatch: z.int().min(0),
  /** What of the network its owner allows to functions. Left out for nothing. */
  network: networkPolicySchema.optional(),
  /** Functions whose secrets it has, and at which number. Left out by a node that can keep none. */
  secrets: z
    .array(z.tuple([hex32, sequence]))
    .max(10_000)
    .optional(),
});
/** An offer as read. */
export type Offer = z.output<typeof offerSchema>;

/** What a super node answers to an offer. */
export const offerAnswerSchema = z.object({
  /** Receipts up to this root are settled: the node may forget them. */
  settledBatch: z.int().min(0),
  /** Network time, for the node's own check of its clock. */
  timeMs: z.int().min(0),
});

/** A root and who signed it; chain, super node and node are those of the link. */
export const signedRootSchema = z.object({
  batch: sequence,
  count: z.int().min(1).max(limits.settlementRows),
  root: hex32,
  signature: hex64,
});
/** A signed root as read. */
export type SignedRoot = z.output<typeof signedRootSchema>;

/** Asks a node to seed a version. The transaction that made it proves that the owner wants it. */
export const seedRequestSchema = z.object({
  /** `OWNER/NAME`, for the node's owner to read. */
  name: z.string().max(110),
  account: hex32,
  function: hex32,
  version: hex32,
  /** The signed `function.create` or `function.control` transaction that published the version. */
  transaction: z.unknown(),
  /** The function's `rotate` transactions, oldest first, where its control key has changed. */
  rotations: z.array(z.unknown()).max(32).optional(),
});
/** A seed request as read. */
export type SeedRequest = z.output<typeof seedRequestSchema>;

/** Whether a node seeds, and why not. */
export const seedAnswerSchema = z.discriminatedUnion('seeding', [
  z.object({ seeding: z.literal(true) }),
  z.object({
    seeding: z.literal(false),
    reason: z.string().max(256),
    /** It goes on fetching the version's image: ask again. */
    fetching: z.literal(true).optional(),
  }),
]);
/** A seed answer as read. */
export type SeedAnswer = z.output<typeof seedAnswerSchema>;

/** How far a node is with the image of a version, bytes. */
export const fetchingSchema = z.object({
  version: hex32,
  receivedBytes: z.int().min(0),
  /** 0 where the image's manifest does not say. */
  totalBytes: z.int().min(0),
});
/** A node's progress as read. */
export type Fetching = z.output<typeof fetchingSchema>;

/** Brings a node the secrets of a function that it seeds, in the body: a box that it alone opens (secrets.ts). */
export const secretsRequestSchema = z.object({
  function: hex32,
  /** The function's `rotate` transactions, oldest first, where its control key has changed: the newest key has signed. */
  rotations: z.array(z.unknown()).max(32).optional(),
});

/** The number of the secrets that the node holds now. */
export const secretsAnswerSchema = z.object({ number: sequence });

/** Tells a node that a version's owner no longer wants it there. */
export const dropSchema = z.object({
  function: hex32,
  version: hex32,
  /** The newest `function.control` transaction: a decommission, a stop, or the publication of another version. */
  transaction: z.unknown(),
  rotations: z.array(z.unknown()).max(32).optional(),
});
export type Drop = z.output<typeof dropSchema>;

/** Header names are lower-case tokens (RFC 9110 section 5.6.2); values hold no control character: no line can be slipped in. */
export const headerNamePattern = /^[!#$%&'*+.^_`|~0-9a-z-]{1,256}$/;
export const headerValuePattern = /^[\t\x20-\x7e\x80-\xff]*$/;
/** A call's method; and its path and query below the function: printable ASCII without spaces, so no other request has its hash. */
export const methodPattern = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,16}$/;
export const pathPattern = /^\/[\x21-\x7e]*$/;

const headerValue = z.string().regex(headerValuePattern, 'must not hold control characters');
const headerPair = z.tuple([z.string().regex(headerNamePattern, 'must be a lower-case header name'), headerValue]);
const headerPairs = z
  .array(headerPair)
  .max(limits.headersCount)
  .refine(
    (pairs) => pairs.reduce((sum, [name, value]) => sum + name.length + value.length, 0) <= limits.headersBytes,
    `must have at most ${limits.headersBytes} bytes`,
  );

/** Whoever made a call, as the super node that took it says. */
export const callerSchema = z.object({
  /** Account that signed the request, whose token it came with, or that owns the calling function. */
  account: hex32,
  name: z.string().regex(/^[a-z0-9-]{1,39}$/),
  /** `OWNER/NAME`, where a function makes the call. */
  function: z
    .string()
    .regex(/^[a-z0-9-]{1,39}\/[a-z0-9-]{1,63}$/)
    .optional(),
});
/** A caller as read. */
export type Caller = z.output<typeof callerSchema>;

/** One job for a node. The body is the call's body. */
export const runRequestSchema = z.object({
  ticket: ticketRowSchema,
  method: z.string().regex(methodPattern, 'must be an HTTP method'),
  /** Path and query below the function's own address. */
  path: z.string().max(limits.pathBytes).regex(pathPattern, 'must start with / and be percent-encoded'),
  headers: headerPairs,
  /** How the caller speaks: a web request, or a bare event (`orb call`, SDK, Lambda's Invoke). */
  mode: z.enum(['http', 'event']),
  /** Left out when nobody knows. */
  caller: callerSchema.optional(),
});
/** A run request as read. */
export type RunRequest = z.output<typeof runRequestSchema>;

/** The head of a job's answer; the body is the response's body. */
export const runAnswerSchema = z.object({ status: z.int().min(200).max(599), headers: headerPairs });
/** The head of an answer as read. */
export type RunAnswer = z.output<typeof runAnswerSchema>;

/**
 * Header that a node adds to the head of an answer whose body the function makes as it goes. Without it the body is whole,
 * has at most limits.bodyBytes, and is not passed on before its receipt is there. Function and caller never see it: it
 * speaks of one connection (RFC 9112 section 6.1).
 */
export const streamMark = ['transfer-encoding', 'chunked'] as const;

/** Whether the body of an answer streams. */
export function isStreamed({ headers }: RunAnswer): boolean {
  return headers.some(([name]) => name === streamMark[0]);
}

/** Names of errors: printable ASCII without spaces. */
export const errorName = /^[\x21-\x7e]{1,128}$/;

/** The end of a job's answer. `error` is the function's own message where the outcome is not `ok`. */
export const runTrailerSchema = z.object({
  receipt: receiptRowSchema,
  /** Number of the node's root that will cover this receipt, and its place among that root's rows, from 0. */
  batch: sequence,
  index: z
    .int()
    .min(0)
    .max(limits.settlementRows - 1),
  error: z.string().max(limits.errorMessageChars).optional(),
  /** The name of what the function threw, such as `TypeError`. */
  errorType: z.string().regex(errorName).optional(),
});
/** A trailer as read. */
export type RunTrailer = z.output<typeof runTrailerSchema>;

/** A function that a node runs calls another. Who pays, and what chain of calls it is in, the super node knows by the job. */
export const nestedCallSchema = z.object({
  /** The calling job: one that this super node has given to this node and that is not over. */
  job: jobIdText,
  owner: z.string().max(limits.accountNameChars),
  name: z.string().max(limits.functionNameChars),
  /** The function that the name must stand for, and the version that must run, where a descriptor says so. */
  function: hex32.optional(),
  version: hex32.optional(),
  contentType: headerValue.max(256).optional(),
  /** What is left of the caller's time. */
  withinMs: z.int().min(1).max(limits.timeoutMs.max),
});
/** A nested call as read. */
export type NestedCallRequest = z.output<typeof nestedCallSchema>;

/** Asks a node for one of its batches, when answers were lost with a link or a crash. */
export const unsettledRequestSchema = z.object({ batch: sequence });

/** A batch as the node's journal holds it; root is null when it has no such batch. In the body: it outgrows a header. */
export const unsettledAnswerSchema = z.object({
  root: signedRootSchema.nullable(),
  rows: z.array(z.tuple([ticketRowSchema, receiptRowSchema])).max(limits.settlementRows),
});
/** A batch as read. */
export type UnsettledAnswer = z.output<typeof unsettledAnswerSchema>;

/** A job in one of its first states. A job without these notices counts as started from the moment it was sent. */
export const jobNoticeSchema = z.object({ job: jobIdText });

/** How much a line of a function's log matters. */
export const logLevels = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof logLevels)[number];

/** Bounds of one `logs` notice. Its JSON text stays below the 64 KiB of a header. */
export const logBounds = { jobs: 64, lines: 256, lineChars: 8_192, noticeBytes: 61_440 } as const;

/** Lines of jobs of this node, each job's in their order; `dropped` counts those that were left out before them. */
export const logsSchema = z.object({
  jobs: z
    .array(
      z.object({
        job: jobIdText,
        lines: z.array(z.tuple([z.enum(logLevels), z.string().max(logBounds.lineChars)])).max(logBounds.lines),
        dropped: z.int().min(0),
      }),
    )
    .max(logBounds.jobs),
});
/** Lines as read. */
export type Logs = z.output<typeof logsSchema>;
