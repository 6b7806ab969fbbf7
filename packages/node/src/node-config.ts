import { hex32, isolationTiers, labelsRecord, limits, OrbError, parseWith, rate, type Signer } from '@orb/protocol';
import { z } from 'zod';

const text = z.string().min(1);
const accounts = z.array(hex32).max(10_000);

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
  caps: z
    .strictObject({
      /** @default all */
      cores: z.number().min(0.1).max(1_024).optional(),
      /** @default half of the memory */
      memoryMiB: z.int().min(limits.memoryMiB.min).max(16_777_216).optional(),
      /** Jobs at once. @default 16 for each core */
      slots: z.int().min(1).max(100_000).optional(),
      /** For code. */
      diskMiB: z.int().min(1).max(16_777_216).default(1_024),
      /** Of one body that streams, in one direction. */
      streamBytes: z.int().min(limits.bodyBytes).default(limits.streamBytes),
    })
    .prefault({}),
  /** Base units per MiB·ms. */
  rate: rate.default(limits.rate.default.toString()),
  labels: labelsRecord.default({}),
  policy: z
    .strictObject({
      /** Whose functions are seeded: everybody's, those of the accounts in `allow`, or no new ones. */
      accept: z.enum(['all', 'listed', 'none']).default('all'),
      allow: accounts.default([]),
      block: accounts.default([]),
      /** Largest memory limit of a function. */
      maxMemoryMiB: z.int().min(limits.memoryMiB.min).max(limits.memoryMiB.max).default(limits.memoryMiB.max),
      /** The weakest isolation that this computer's owner wants around strangers' code. The node does not start below it. */
      minIsolation: z.enum(isolationTiers).default('process'),
    })
    .prefault({}),
  /** Container images, through the Docker Engine of this computer. */
  containers: z
    .strictObject({
      /** `auto`: where an engine answers and holds what it promises; `off`: never. */
      use: z.enum(['auto', 'off']).default('auto'),
      /** The engine's socket. @default `DOCKER_HOST`, or the usual places of Docker and podman */
      socket: text.max(256).optional(),
      /** The engine's runtime for functions, such as `runsc`. @default the engine's own */
      runtime: z
        .string()
        .regex(/^[\w.-]{1,64}$/, 'must be the name of a runtime')
        .optional(),
      /** Cores that one container may use. */
      cores: z.number().min(0.1).max(1_024).default(1),
      /** Disk for images. */
      diskMiB: z.int().min(1).max(16_777_216).default(10_240),
      /** Registries with a login, or `null` for one without: the way to allow one inside the owner's network. */
      registries: z.record(text.max(256), z.strictObject({ username: text.max(256), password: text.max(4_096) }).nullable()).default({}),
      /** Fetch from those registries alone. */
      onlyListedRegistries: z.boolean().default(false),
    })
    .prefault({}),
  /** `memory` runs functions inside this process, without any protection: for tests and simulations alone. */
  sandbox: z.enum(['deno', 'memory']).default('deno'),
});

export type NodeConfig = z.input<typeof nodeConfigSchema>;
export type CheckedNodeConfig = z.output<typeof nodeConfigSchema>;

/** Fills in defaults. @throws OrbError `invalid-request` naming each wrong field */
export function checkNodeConfig(config: NodeConfig): CheckedNodeConfig {
  const checked = parseWith(nodeConfigSchema, config, 'node config');
  if (checked.policy.accept === 'listed' && checked.policy.allow.length === 0) {
    throw new OrbError('invalid-request', {
      message: 'node config.policy.allow: is empty, so that this node would seed nothing.',
      hint: 'List account ids in allow, or set accept to all or none.',
    });
  }
  return checked;
}
