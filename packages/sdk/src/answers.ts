import {
  acknowledgementRowSchema,
  blockHeaderSchema,
  closedRowSchema,
  genesisSchema,
  hex16,
  hex32,
  hex64,
  instantMs,
  isErrorCode,
  logLevels,
  parametersSchema,
  receiptRowSchema,
  rowProofSchema,
  ticketRowSchema,
  units,
  type AllowanceRecord,
  type ErrorCode,
  type Json,
  type Transaction,
} from '@orb/protocol';
import { z } from 'zod';

/*
 * What a super node answers, checked before anybody uses it. Unknown fields are dropped, so that a newer super node
 * can say more to an older client.
 */
const text = z.string().max(1_024);
const count = z.int().min(0);
const functionNameText = z.string().max(128);
/** Any JSON: a record of the ledger as it stands. */
const json = z.unknown() as z.ZodType<Json>;
const errorCode = z
  .string()
  .refine(isErrorCode)
  .transform((code) => code as ErrorCode);
const errorSchema = z.object({ code: z.string().max(64), message: text, hint: text.optional() });

export const networkSchema = z.object({
  name: text,
  network: z.enum(['test', 'main']),
  chain: hex32,
  genesis: genesisSchema,
  parameters: parametersSchema,
  head: blockHeaderSchema,
  /** All but the id are missing until the super node is registered on the ledger. */
  superNode: z.object({
    id: hex32,
    key: hex32.optional(),
    account: hex32.optional(),
    address: text.optional(),
    gateway: text.optional(),
    bond: units.optional(),
  }),
  software: text.optional(),
});
/** Who a super node is, and which network it belongs to. */
export type NetworkInfo = z.output<typeof networkSchema>;

export const committedSchema = z.object({
  id: hex32,
  height: count,
  index: count,
  time: instantMs,
  rejections: z.array(z.object({ job: z.string().max(64), code: errorCode, message: text })).max(1_024),
});
/** Where a transaction stands on the ledger. */
export type Committed = z.output<typeof committedSchema>;

export const stateAnswerSchema = z.object({ key: z.string().max(512), value: json.optional() });
export const rangeSchema = z.object({ entries: z.array(z.object({ key: z.string().max(512), value: json })).max(1_000) });
export const historySchema = z.object({
  changes: z.array(z.object({ height: count, time: instantMs, transaction: hex32, value: json.nullable() })).max(10_000),
});
export type KeyChange = z.output<typeof historySchema>['changes'][number];

const transactionSchema = z.unknown() as z.ZodType<Transaction>;
export const locatedSchema = z.object({ height: count, index: count, transaction: transactionSchema });
export type LocatedTransaction = z.output<typeof locatedSchema>;
export const blockSchema = z.object({ header: blockHeaderSchema, transactions: z.array(transactionSchema).max(100_000), signature: hex64 });

export const finalitySchema = z.object({
  source: z.enum(['ledger', 'configured', 'none']),
  needed: count,
  head: count,
  final: count.nullable(),
  peers: z.array(z.object({ id: hex32, height: count.nullable(), heardMs: z.number().nullable() })).max(1_000),
});
const cosignerSchema = z.object({
  key: hex32,
  last: z.object({ epoch: count, height: count, hash: hex32 }).nullable(),
  left: z.object({ epoch: count, height: count, previous: hex32, change: hex32.nullable() }).nullable(),
});
export const ordererSchema = z.object({
  epoch: count,
  key: hex32,
  gateway: z.string().max(300).nullable(),
  since: count,
  head: z.object({ height: count, epoch: count, hash: hex32 }),
  ordering: z.boolean(),
  halted: z.boolean(),
  cosigner: cosignerSchema.nullable(),
});
/** Who orders the ledger, and how a super node or peer stands to it. */
export type OrdererStanding = z.output<typeof ordererSchema>;
export const votesSchema = z.object({ votes: z.array(z.object({ key: hex32, signature: hex64 })).max(8) });
export const refusalsSchema = z.object({
  refusals: z.array(z.object({ header: blockHeaderSchema, signature: hex64, reason: text })).max(100),
});
/** A block that the orderer signed and that cannot stand. */
export type RefusedBlock = z.output<typeof refusalsSchema>['refusals'][number];

/** How far the peers of a ledger have co-signed its blocks. */
export type LedgerFinality = z.output<typeof finalitySchema>;

export const nodesSchema = z.object({
  nodes: z
    .array(
      z.object({
        id: hex32,
        label: text,
        account: text,
        platform: text.optional(),
        isolation: text.optional(),
        cores: z.number().optional(),
        memoryMiB: z.number().optional(),
        rate: units.optional(),
        slots: z.number().optional(),
        active: z.number().optional(),
        seeds: z.number().optional(),
        network: z.union([text, z.array(text).max(64)]).nullish(),
        accepting: z.boolean().optional(),
        rttMs: z.number().nullish(),
      }),
    )
    .max(100_000),
});
/** A node that is linked to this super node now. */
export type NodeInfo = z.output<typeof nodesSchema>['nodes'][number];

export const secretsSchema = z.object({
  number: count.nullable(),
  names: z.array(text).max(1_000),
  nodes: z.array(z.object({ node: hex32, holds: count.nullable(), linked: z.boolean() })).max(10_000),
});
/** What a super node keeps of a function's secrets: never a value. `holds` is the number that a node says it has. */
export type SecretsInfo = z.output<typeof secretsSchema>;

const replicaCounts = z.object({ ready: count, wanted: count });
export const functionsSchema = z.object({
  functions: z
    .array(
      z.object({
        owner: functionNameText,
        name: functionNameText,
        id: hex32,
        state: z.enum(['active', 'stopped', 'decommissioned']),
        versionNumber: z.int().nullish(),
        replicas: replicaCounts,
        url: text,
      }),
    )
    .max(10_000),
});
export type FunctionSummary = z.output<typeof functionsSchema>['functions'][number];

const functionRecord = z.object({
  id: hex32,
  account: hex32,
  name: functionNameText,
  incarnation: z.int().min(1),
  controlKey: hex32,
  recoveryKey: hex32,
  sequence: count,
  state: z.enum(['active', 'stopped', 'decommissioned']),
  latest: count,
  traffic: z.array(z.tuple([z.int(), z.int()])).max(64),
});
export const functionSchema = z.object({
  owner: functionNameText,
  name: functionNameText,
  url: text,
  record: functionRecord,
  version: z.looseObject({ id: hex32, number: z.int() }).nullish(),
  replicas: z.object({ ready: count, wanted: count, nodes: z.array(hex32).max(1_000).optional() }),
});
export type FunctionInfo = z.output<typeof functionSchema>;

export const versionRecordSchema = z.object({ number: z.int().min(1), manifest: z.unknown() });

export const seedStepSchema = z.discriminatedUnion('type', [
  z.object({
    type: z.enum(['asked', 'ready', 'refused']),
    node: hex32,
    label: text,
    reason: text.optional(),
    ready: count,
    wanted: count,
  }),
  z.object({
    type: z.literal('fetching'),
    node: hex32,
    label: text,
    /** Bytes of the image that are there, and in all; 0 where nobody knows. */
    receivedBytes: count,
    totalBytes: count,
    ready: count,
    wanted: count,
  }),
  z.object({ type: z.literal('done'), ready: count, wanted: count }),
  z.object({ type: z.literal('failed'), error: errorSchema.loose() }),
]);
/** One step of seeding. The last one is `done` or `failed`. */
export type SeedStep = z.output<typeof seedStepSchema>;

/** Of a newer super node there may be more; of a job nothing is known where only lines are missing. */
export const logEntrySchema = z.object({
  seq: count,
  atMs: instantMs,
  call: z.string().max(64).optional(),
  job: z.string().max(64).optional(),
  attempt: count.optional(),
  node: z.string().max(64).optional(),
  version: z.string().max(64).optional(),
  level: z.enum(logLevels).optional(),
  text: z.string().max(65_536).optional(),
  /** How many lines are missing here. */
  dropped: count.optional(),
});
/** A line of a function's log, with `level` and `text`, or the word that `dropped` lines are missing. */
export type LogEntry = z.output<typeof logEntrySchema>;

export const jobClosedSchema = z.object({ settlement: z.int().min(1), row: closedRowSchema, proof: rowProofSchema });
/** How a settlement closed a job. */
export type JobClosed = z.output<typeof jobClosedSchema>;

const jobTimes = z.object({
  prcUs: z.number(),
  prvUs: z.number(),
  cmpUs: z.number(),
  rspUs: z.number().nullish(),
  bilUs: z.number().nullish(),
});
const jobStateName = z.enum(['assigned', 'done', 'received', 'paid', 'failed', 'expired', 'refunded']);
const jobRecord = z.object({
  id: z.string().max(64),
  state: jobStateName,
  developer: hex32,
  provider: hex32,
  superNode: hex32,
  node: hex32,
  ticket: ticketRowSchema,
  receipt: receiptRowSchema.nullable(),
  acknowledgement: acknowledgementRowSchema.nullable(),
  cost: units,
  payments: z
    .array(z.object({ account: hex32, units, reason: z.enum(['provider', 'relay', 'commission', 'seeding', 'royalty']) }))
    .max(256),
  paidFrom: z.literal('bond').optional(),
  changes: z.array(z.object({ to: jobStateName, height: count, time: instantMs })).max(64),
});
export const jobSchema = z.object({
  job: jobRecord,
  times: jobTimes.nullish(),
  function: functionNameText.nullish(),
  where: z.object({ height: count, index: count, transaction: hex32 }).nullish(),
});
/** A job as the ledger tells it. */
export type JobInfo = z.output<typeof jobSchema>;

export const jobsSchema = z.object({
  jobs: z
    .array(
      z.object({
        id: z.string().max(64),
        call: text,
        function: functionNameText,
        node: text,
        outcome: text,
        costUnits: units,
        prcUs: z.number(),
        setupUs: z.number(),
        runUs: z.number(),
        doneAtMs: instantMs,
      }),
    )
    .max(10_000),
});
export type JobSummary = z.output<typeof jobsSchema>['jobs'][number];

export const statusSchema = z.looseObject({});
/** Whatever JSON it is: somebody else checks it. */
export const anyAnswerSchema = z.unknown();

export const accountRecordSchema = z.object({
  id: hex32,
  name: functionNameText,
  /** None while the account is revoked. */
  keys: z.array(hex32).max(64),
  recoveryKey: hex32.optional(),
  /** Recoveries asked for so far, and the one that is under way. */
  recoveries: count.optional(),
  recovery: z.object({ keys: z.array(hex32).max(64), due: instantMs }).optional(),
  roles: z.array(z.enum(['developer', 'provider', 'peer'])),
  sequence: count,
});
export const balanceRecordSchema = z.object({ available: z.string().regex(/^-?\d{1,30}$/), granted: units.optional() });
export const creditRecordSchema = z.object({ vested: units, vesting: z.array(z.tuple([instantMs, units])).max(1_000_000) });
export const allowanceRecordSchema: z.ZodType<AllowanceRecord> = z.object({
  id: hex16,
  payer: hex32,
  superNode: hex32,
  functions: z.union([z.literal('*'), z.array(hex32)]),
  maxUnits: units,
  maxPerCall: units,
  expires: instantMs,
  left: units,
  closedBelow: count,
  closed: z.array(z.tuple([count, count])),
});
