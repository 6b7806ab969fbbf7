import { isolationTiers, limits, OrbError } from '@orb/protocol';
import type { Settings, SettingsChange } from '@orb/node';
import { InvalidArgumentError } from 'commander';
import { baseUnits, cores, duration, memory, wholeNumber } from '../commands/option-values.ts';
import { formatUs } from '../terminal/format.ts';

/** One setting of a lent computer, as its owner writes and reads it. */
export interface NodeSetting {
  readonly key: string;
  readonly name: keyof Settings;
  readonly meaning: string;
  /** Text → value. @throws InvalidArgumentError with words about the value */
  parse(text: string): unknown;
  format(value: unknown): string;
  /** Values are accounts: names have to be looked up. */
  readonly accounts?: true;
}

const mebibytes = (min: number) => ({ parse: memory(min, 16_777_216), format: (value: unknown) => `${String(value)} MiB` });
const plain = (parse: (text: string) => unknown) => ({ parse, format: String });
const oneOf = (...words: readonly string[]) =>
  plain((text) => {
    if (words.includes(text)) return text;
    throw new InvalidArgumentError(`It must be ${words.slice(0, -1).join(', ')} or ${words.at(-1)}.`);
  });
const accounts = {
  parse: (text: string) => (text === 'none' ? [] : text.split(',').map((part) => part.trim())),
  format: (value: unknown) => ((value as readonly string[]).length === 0 ? 'none' : (value as readonly string[]).join(', ')),
  accounts: true,
} as const;

/** A time, or `off` for 0. */
const timeOrOff = {
  parse: (text: string) => (text === 'off' ? 0 : duration(1_000, 86_400_000)(text)),
  format: (value: unknown) => (value === 0 ? 'off' : formatUs(Number(value) * 1_000)),
};
const percent = {
  parse: (text: string) => (text === 'any' ? 100 : wholeNumber(1, 100)(text.replace(/ ?%$/, ''))),
  format: (value: unknown) => (value === 100 ? 'any' : `${String(value)} %`),
};

/** Everything that `orb node set` can change, in the order in which it is shown. */
export const nodeSettings: readonly NodeSetting[] = [
  { key: 'cores', name: 'cores', meaning: 'cores that functions may use together', ...plain(cores) },
  { key: 'memory', name: 'memoryMiB', meaning: 'memory that functions may use together', ...mebibytes(limits.memoryMiB.min) },
  { key: 'slots', name: 'slots', meaning: 'jobs at once; 0 takes none', ...plain(wholeNumber(0, 100_000)) },
  { key: 'disk', name: 'diskMiB', meaning: 'disk for code; versions used longest ago make room', ...mebibytes(1) },
  {
    key: 'price',
    name: 'price',
    meaning: 'what is asked, base units per MiB·ms',
    ...plain((text) => String(baseUnits(limits.rate.max)(text))),
  },
  { key: 'hours', name: 'hours', meaning: 'when it is lent: always, or such as "mon-fri 19:00-08:00, sat-sun"', ...plain(String) },
  { key: 'only-when-idle', name: 'onlyWhenIdleMs', meaning: 'lend only after so long without keyboard and mouse, or off', ...timeOrOff },
  { key: 'other-load', name: 'otherLoadPercent', meaning: 'lend only while other programs use at most so much, or any', ...percent },
  { key: 'on-battery', name: 'onBattery', meaning: 'pause or lend while it runs on its battery', ...oneOf('pause', 'lend') },
  {
    key: 'running-jobs',
    name: 'runningJobs',
    meaning: 'when lending pauses they finish, or hand-back gives them to others',
    ...oneOf('finish', 'hand-back'),
  },
  { key: 'priority', name: 'priority', meaning: 'of functions beside your own programs: lowest or normal', ...oneOf('lowest', 'normal') },
  { key: 'accept', name: 'accept', meaning: 'whose functions are taken: all, listed, none', ...oneOf('all', 'listed', 'none') },
  { key: 'allow', name: 'allow', meaning: 'accounts whose functions are taken when accept is listed', ...accounts },
  { key: 'block', name: 'block', meaning: 'accounts whose functions are never taken', ...accounts },
  {
    key: 'max-function-memory',
    name: 'maxFunctionMiB',
    meaning: 'largest memory limit of one function',
    parse: memory(limits.memoryMiB.min, limits.memoryMiB.max),
    format: (value) => `${String(value)} MiB`,
  },
  {
    key: 'min-isolation',
    name: 'minIsolation',
    meaning: 'weakest isolation around functions of other accounts',
    ...oneOf(...isolationTiers),
  },
  {
    key: 'network',
    name: 'network',
    meaning: 'what functions may reach: none, public, or hosts: a.org,*.b.org:8443',
    parse: (text) => (text === 'none' || text === 'public' ? text : text.split(',').map((part) => part.trim())),
    format: (value) => (Array.isArray(value) ? value.join(', ') : String(value)),
  },
  { key: 'containers', name: 'containers', meaning: 'run container images where Docker or podman is: on or off', ...oneOf('on', 'off') },
  { key: 'container-cores', name: 'containerCores', meaning: 'cores that one container may use', ...plain(cores) },
  { key: 'container-runtime', name: 'containerRuntime', meaning: 'the engine’s runtime for functions, such as runsc', ...plain(String) },
  { key: 'image-disk', name: 'imageDiskMiB', meaning: 'disk for images; those used longest ago make room', ...mebibytes(1) },
  {
    key: 'registries',
    name: 'registries',
    meaning: 'images from public registries, or only from listed ones',
    ...oneOf('public', 'listed'),
  },
];

/** What each setting is where nothing is said and it depends on the computer. */
export const unsaid: Partial<Record<keyof Settings, string>> = {
  cores: 'all',
  memoryMiB: 'half',
  slots: '16 for each core',
  minIsolation: 'namespaces',
  containerRuntime: 'the engine’s own',
};

/**
 * Words `KEY VALUE …` as a change; the value `default` brings a default back.
 * @param accountId looks up an account by its name
 * @throws OrbError `invalid-request` naming key and value, `unknown-account`
 */
export async function parseSettings(words: readonly string[], accountId: (name: string) => Promise<string>): Promise<SettingsChange> {
  if (words.length === 0 || words.length % 2 !== 0)
    throw new OrbError('invalid-request', { message: 'Give a key and a value.', hint: 'orb node set price 12. All keys: orb node show' });
  const change: Record<string, unknown> = {};
  for (let i = 0; i < words.length; i += 2) {
    const setting = findSetting(words[i]!);
    change[setting.name] = words[i + 1] === 'default' ? null : await parseValue(setting, words[i + 1]!, accountId);
  }
  return change as SettingsChange;
}

function findSetting(key: string): NodeSetting {
  const setting = nodeSettings.find((one) => one.key === key);
  if (setting) return setting;
  throw new OrbError('invalid-request', {
    message: `There is no setting ${JSON.stringify(key.slice(0, 40))}.`,
    hint: `The settings are ${nodeSettings.map((one) => one.key).join(', ')}.`,
  });
}

async function parseValue(setting: NodeSetting, text: string, accountId: (name: string) => Promise<string>): Promise<unknown> {
  let value: unknown;
  try {
    value = setting.parse(text);
  } catch (error) {
    throw new OrbError('invalid-request', {
      message: `${setting.key}: ${JSON.stringify(text.slice(0, 80))} does not go. ${(error as Error).message}`,
    });
  }
  return setting.accounts ? Promise.all((value as readonly string[]).map(accountId)) : value;
}
