import { isIP } from 'node:net';
import { z } from 'zod';
import { hex32, limits, OrbError, parseWith } from '@orb/protocol';
import { placementPolicies } from './scheduler/policies.ts';

const listen = z.string().regex(/^(\[[0-9a-f:]+\]|[\w.-]+):\d{1,5}$/i, 'must be HOST:PORT');
const tlsFiles = z.strictObject({ certFile: z.string(), keyFile: z.string() });

/** `super-node.json`. Everything but `folder` may be left out. */
export const superNodeConfigSchema = z.strictObject({
  /** Keys, ledger, code and journals live here. */
  folder: z.string().min(1),
  gateway: z
    .strictObject({
      listen: listen.default('127.0.0.1:7080'),
      /** How callers reach it, when not by the listening address. */
      url: z.url().optional(),
      tls: tlsFiles.optional(),
      /** Whether a browser takes pages of different functions for one origin: `shared` only where all of them trust each other. */
      pages: z.enum(['sandboxed', 'shared']).default('sandboxed'),
      /** Addresses of proxies whose X-Forwarded-For is believed; limits per caller count what they say. */
      trustedProxies: z.array(z.string().max(64)).max(64).default([]),
    })
    .prefault({}),
  links: z
    .strictObject({
      listen: listen.default('127.0.0.1:7443'),
      /** How nodes reach it: wss://… */
      address: z.string().startsWith('wss://').optional(),
      /** A given certificate; without it the super node makes its own, and nodes pin its key. */
      tls: tlsFiles.optional(),
    })
    .prefault({}),
  /** Order the ledger here, or follow the super node that does: its gateway's address, or that of another follower. */
  ledger: z
    .discriminatedUnion('mode', [
      z.strictObject({ mode: z.literal('embedded') }),
      z.strictObject({
        mode: z.literal('replica'),
        upstream: z.url({ protocol: /^https?$/ }),
        /** What a new folder begins with; auto: a snapshot where the ledger is long and its peers have co-signed one. */
        begin: z.enum(['auto', 'snapshot', 'start']).default('auto'),
        /** Keys of peers that you know: more than two thirds of them must have co-signed the snapshot. */
        trusted: z.array(hex32).max(64).default([]),
      }),
    ])
    .default({ mode: 'embedded' }),
  placement: z.enum(placementPolicies).default('balanced'),
  /** Reply only after the disk has the record: power-cut proof, and slower. */
  durableReplies: z.boolean().default(false),
  /**
   * Calls per second from one address; null: no limit. Left out: 1,000, but no limit on loopback, where every caller is
   * this computer or a proxy on it.
   */
  callsPerSecond: z.number().positive().nullable().optional(),
  /** Calls per second of one function, whoever makes them; null: no limit. */
  callsPerSecondOfFunction: z.number().positive().nullable().default(null),
  /** Grants per minute to one address; 0: no faucet here. */
  faucetPerMinute: z.number().min(0).default(10),
  /** Disk for functions' code; beyond it uploads are refused. */
  codeQuotaMiB: z.int().min(10).default(20_480),
  /** The most bytes of a body that streams, in one direction. */
  streamBytes: z.int().min(limits.bodyBytes).default(limits.streamBytes),
  /** How long a caller may take no byte of a response that streams, or send none of a request that does. */
  streamIdleMs: z.int().min(100).max(900_000).default(60_000),
  maxWaitingCalls: z.int().min(0).max(1_000_000).default(2_000),
  maxWaitMs: z.int().min(0).max(60_000).default(5_000),
  settleEveryMs: z.int().min(20).max(60_000).default(250),
  /** Of before. */
  peers: z.never('the ledger itself lists its peers now: orb ledger vote --peers NAMES').optional(),
  /** How long a node that is gone may take to come back with the receipt of a job before that is closed unpaid. */
  lostGraceMs: z.int().min(0).max(86_400_000).default(30_000),
  /** How long a node may take to sign receipts that it has sent before their jobs go to the ledger without. */
  unsignedGraceMs: z.int().min(0).max(86_400_000).default(600_000),
  /** The shortest time from one challenge of a function's seeders to the next, where they have a share waiting. */
  challengeEveryMs: z
    .int()
    .min(1_000)
    .max(30 * 86_400_000)
    .default(3_600_000),
  /** How long what is due at another super node is left to it. */
  elsewhereMs: z.int().min(0).max(86_400_000).default(10_000),
});

export type SuperNodeConfig = z.output<typeof superNodeConfigSchema>;
export type SuperNodeConfigInput = z.input<typeof superNodeConfigSchema>;

/** @throws OrbError `invalid-request` naming each wrong field */
export function parseSuperNodeConfig(value: unknown): SuperNodeConfig {
  const config = parseWith(superNodeConfigSchema, value, 'config') as SuperNodeConfig;
  const { host } = splitListen(config.gateway.listen);
  if (!config.gateway.tls && !isLoopback(host)) {
    throw new OrbError('invalid-request', {
      message: `config.gateway.listen: ${config.gateway.listen} is reachable from outside, and plain HTTP is for this computer alone.`,
      hint: 'Give gateway.tls a certificate, or listen on 127.0.0.1 behind a proxy that has one.',
    });
  }
  return config;
}

/** Calls per second from one address; null: no limit. */
export function callRate({ callsPerSecond, gateway }: SuperNodeConfig): number | null {
  if (callsPerSecond !== undefined) return callsPerSecond;
  return isLoopback(splitListen(gateway.listen).host) && gateway.trustedProxies.length === 0 ? null : 1_000;
}

export function splitListen(address: string): { host: string; port: number } {
  const at = address.lastIndexOf(':');
  return { host: address.slice(0, at).replace(/^\[|\]$/g, ''), port: Number(address.slice(at + 1)) };
}

function isLoopback(host: string): boolean {
  if (host === 'localhost' || host === '::1') return true;
  return isIP(host) === 4 && host.startsWith('127.');
}
