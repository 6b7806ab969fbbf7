import { hex32, labelsRecord, limits, parseWith, type Signer } from '@orb/protocol';
import type { Unsealer } from '@orb/protocol/sealed-box';
import { z } from 'zod';
import type { SettingsInput } from './settings/settings.ts';

const text = z.string().min(1);

/** How a lent computer is set up. Everything that has a default may be left out. */
const nodeConfigSchema = z.strictObject({
  /** Journal, code and control socket stand here; made when absent, readable by this user alone. One node at a time. */
  dataFolder: text,
  chain: hex32,
  /** The node's key. */
  signer: z.custom<Signer>(
    (value) =>
      typeof value === 'object' &&
      value !== null &&
      typeof (value as Signer).sign === 'function' &&
      hex32.safeParse((value as Signer).publicKey).success,
    'must be a signer',
  ),
  /** Opens what is sealed to that key. Without it the node takes no function that needs secrets. */
  unsealer: z
    .custom<Unsealer>((value) => typeof (value as Unsealer | null)?.unseal === 'function', 'must open what is sealed to the key')
    .optional(),
  superNodes: z
    .array(z.strictObject({ address: text.max(256), key: hex32, gateway: z.url({ protocol: /^https?$/ }).optional() }))
    .min(1, 'name at least one super node')
    .max(16)
    .refine((all) => new Set(all.map(({ key }) => key)).size === all.length, 'must not name a super node twice'),
  /**
   * More gateways through which the ledger can be reached, beside those of the super nodes. Without any, the node cannot
   * bring to the ledger what its super nodes do not settle.
   */
  gateways: z
    .array(z.url({ protocol: /^https?$/ }))
    .max(64)
    .default([]),
  claims: z
    .strictObject({
      /** How long a super node may take to settle before the node brings its jobs to the ledger itself. */
      afterMs: z.int().min(1_000).max(86_400_000).default(30_000),
      /** How often the node sees to that. */
      everyMs: z.int().min(50).max(3_600_000).default(5_000),
    })
    .prefault({}),
  /** For people to read. */
  label: z.string().regex(/^[\w .-]{1,63}$/, 'must be 1 to 63 letters, digits, spaces, dots and hyphens'),
  /** Account that lends this computer: its own functions are taken whatever the isolation. */
  owner: hex32.optional(),
  /** What the owner's command says for this run; it holds above the settings in the data folder. */
  settings: z.custom<SettingsInput>((value) => typeof value === 'object' && value !== null, 'must be settings').default({}),
  /** The most bytes of one body that streams, in one direction. */
  streamBytes: z.int().min(limits.bodyBytes).default(limits.streamBytes),
  labels: labelsRecord.default({}),
  /** The engine's socket for container images. @default `DOCKER_HOST`, or the usual places of Docker and podman */
  engineSocket: text.max(256).optional(),
  /** `memory` runs functions inside this process, without any protection: for tests and simulations alone. */
  sandbox: z.enum(['deno', 'memory']).default('deno'),
});

export type NodeConfig = z.input<typeof nodeConfigSchema>;
export type CheckedNodeConfig = z.output<typeof nodeConfigSchema>;

/** Fills in defaults. @throws OrbError `invalid-request` naming each wrong field */
export function checkNodeConfig(config: NodeConfig): CheckedNodeConfig {
  return parseWith(nodeConfigSchema, config, 'node config');
}
