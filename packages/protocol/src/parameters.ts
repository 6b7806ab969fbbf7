import { z } from 'zod';
import type { AccountId } from './ids.ts';
import { limits } from './limits.ts';
import { hex32, listOf, units } from './schema.ts';

const delayMs = z
  .int()
  .min(1_000)
  .max(365 * 86_400_000);

/**
 * What the rules of a ledger allow, by their number. Whoever follows a ledger must know its rules: peers raise the number once
 * every process of the network is new enough. 1: what version 1 of the formats began with. 2: versions that need secrets. 3: versions
 * that name a check of their server's health. 4: settlements whose signatures cover their id, not their text (docs/decisions/0326).
 */
export const newestRules = 4;

/** Rules and prices of a network; immutable, a change makes the next version. */
export const parametersSchema = z.strictObject({
  version: z.int().min(1),
  /** Height from which this version holds. */
  fromHeight: z.int().min(0),
  /** Shares of a job's cost in basis points; the provider takes what is left. */
  split: z.strictObject({
    relayBps: z.int().min(0).max(5_000),
    commissionBps: z.int().min(0).max(2_000),
    seedingBps: z.int().min(0).max(2_000),
  }),
  /** How long a paid job can be disputed; credits vest after it. */
  disputeWindowMs: z
    .int()
    .min(0)
    .max(30 * 86_400_000),
  /** How long a super node may take to acknowledge a finished job. */
  graceMs: z.int().min(1_000).max(86_400_000),
  /** How much more run time a node may bill than the super node observed. */
  runToleranceMs: z.int().min(0).max(60_000),
  /** The smallest bond of a super node, base units. */
  minBond: units,
  /** Faucet of a test network, base units per grant and for ever per account; `0` where there is none. */
  faucetGrant: units,
  faucetTotal: units,
  /** Accounts that decide by ⌊2n/3⌋+1 votes. Absent or empty: the treasury alone. */
  peers: listOf(hex32, 0, limits.peers).optional(),
  /** How long a bond answers for its super node after it is called back. Absent: {@link parameterDefaults}. */
  unbondingMs: delayMs.optional(),
  /** How long an account's recovery can be cancelled. */
  recoveryMs: delayMs.optional(),
  /** How long seeders have to answer a challenge. */
  challengeMs: delayMs.optional(),
  /** At most {@link newestRules}. Absent: 1. */
  rules: z.int().min(1).max(newestRules).optional(),
});
/** Rules and prices as read. */
export type Parameters = z.output<typeof parametersSchema>;

/** Delays of parameters that do not name them: a week, three days, a minute. */
export const parameterDefaults = { unbondingMs: 7 * 86_400_000, recoveryMs: 3 * 86_400_000, challengeMs: 60_000 } as const;

/** Who decides under these parameters. @param treasury decides alone where nobody else is named */
export function decidingPeers({ peers }: Parameters, treasury: AccountId): readonly AccountId[] {
  return peers && peers.length > 0 ? peers : [treasury];
}

/** How many of n peers decide, and how many co-signatures make a block final: more than two thirds, ⌊2n/3⌋ + 1. @param n at least 1 */
export function quorumOf(n: number): number {
  return Math.floor((2 * n) / 3) + 1;
}
