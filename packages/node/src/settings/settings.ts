import { hex32, isolationTiers, limits, networkPolicySchema, OrbError, parseWith, rate, type NetworkPolicy } from '@orb/protocol';
import { z } from 'zod';
import { parseHours } from './hours.ts';

const accounts = z.array(hex32).max(10_000);
const mebibytes = (min: number) => z.int().min(min).max(16_777_216);

/**
 * What the owner of a lent computer decides, and may change while it runs. What is left out has its default; the first three
 * depend on the computer.
 */
export const settingsSchema = z.strictObject({
  /** Cores that functions may use together. @default all */
  cores: z.number().min(0.1).max(1_024).optional(),
  /** MiB that functions may use together. @default half of the memory */
  memoryMiB: mebibytes(limits.memoryMiB.min).optional(),
  /** Jobs at once; 0 takes none. @default 16 for each core */
  slots: z.int().min(0).max(100_000).optional(),
  /** Disk for functions' code. */
  diskMiB: mebibytes(1).default(1_024),
  /** Disk for container images. */
  imageDiskMiB: mebibytes(1).default(10_240),
  /** Base units per MiB·ms. */
  price: rate.default(limits.rate.default.toString()),
  /** When it is lent, by this computer's clock: `always`, or such as `mon-fri 19:00-08:00, sat-sun`. */
  hours: z.string().max(200).superRefine(checkHours).default('always'),
  /** Lend only when keyboard and mouse have been still for so long; 0 does not ask. */
  onlyWhenIdleMs: z.int().min(0).max(86_400_000).default(0),
  /** Lend only while other programs use at most this share of the processor; 100 does not ask. */
  otherLoadPercent: z.int().min(1).max(100).default(100),
  /** Whether it is lent while it runs on its battery. */
  onBattery: z.enum(['pause', 'lend']).default('pause'),
  /** What becomes of jobs under way when lending pauses: they end, or are given back for others to run. */
  runningJobs: z.enum(['finish', 'hand-back']).default('finish'),
  /** How functions stand beside the owner's own programs, for processor and disk. */
  priority: z.enum(['lowest', 'normal']).default('lowest'),
  /** Whose functions are taken: everybody's, those of the accounts in `allow`, or no new ones. */
  accept: z.enum(['all', 'listed', 'none']).default('all'),
  allow: accounts.default([]),
  block: accounts.default([]),
  /** Largest memory limit of a function. */
  maxFunctionMiB: z.int().min(limits.memoryMiB.min).max(limits.memoryMiB.max).default(limits.memoryMiB.max),
  /**
   * The weakest isolation around functions of other accounts. Given, a node that reaches it for nothing does not start.
   * @default namespaces
   */
  minIsolation: z.enum(isolationTiers).optional(),
  /** What of the network functions may reach: nothing, everything public, or these hosts. */
  network: z.union([z.literal('none'), networkPolicySchema]).default('none'),
  /** Whether container images run here, where a Docker Engine holds what it promises. */
  containers: z.enum(['on', 'off']).default('on'),
  /** Cores that one container may use. */
  containerCores: z.number().min(0.1).max(1_024).default(1),
  /** The engine's runtime for functions, such as `runsc`. @default the engine's own */
  containerRuntime: z
    .string()
    .regex(/^[\w.-]{1,64}$/, 'must be the name of a runtime')
    .optional(),
  /** From where images may come: every public registry, or those alone that the owner has listed. */
  registries: z.enum(['public', 'listed']).default('public'),
});

export type SettingsInput = z.input<typeof settingsSchema>;
export type Settings = z.output<typeof settingsSchema>;

/** New values by name; `null` brings the default back. */
export type SettingsChange = { readonly [Name in keyof Settings]?: SettingsInput[Name] | null };

const changeSchema = z.partialRecord(settingsSchema.keyof(), z.unknown());

/** What of the network the owner allows; undefined for nothing. */
export function networkPolicy({ network }: Settings): NetworkPolicy | undefined {
  return network === 'none' ? undefined : network;
}

/** Fills in defaults. @throws OrbError `invalid-request` naming each wrong field */
export function checkSettings(input: unknown): Settings {
  const settings = parseWith(settingsSchema, input, 'settings');
  if (settings.accept === 'listed' && settings.allow.length === 0) {
    throw new OrbError('invalid-request', {
      message: 'settings.allow: is empty, so that this node would take no function.',
      hint: 'List accounts in allow first, or set accept to all or none.',
    });
  }
  return settings;
}

/** What was said so far and a change, as one. @throws OrbError `invalid-request` for an unknown name or a wrong value */
export function applyChange(said: SettingsInput, change: unknown): SettingsInput {
  const next: Record<string, unknown> = { ...said };
  for (const [name, value] of Object.entries(parseWith(changeSchema, change, 'settings'))) {
    if (value === null || value === undefined) delete next[name];
    else next[name] = value;
  }
  checkSettings(next);
  return next as SettingsInput;
}

function checkHours(text: string, context: z.RefinementCtx): void {
  try {
    parseHours(text);
  } catch (error) {
    context.addIssue({ code: 'custom', message: (error as Error).message });
  }
}
