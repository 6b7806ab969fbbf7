import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { OrbError, parseWith } from '@orb/protocol';
import { z } from 'zod';
import { replaceFile } from '../replace-file.ts';

const hostSchema = z
  .string()
  .regex(/^[a-z0-9]+([._-][a-z0-9]+)*(:\d{1,5})?$/, 'must be a host and its port, such as ghcr.io or registry.example.com:5000');
/** Registries by host and port: a login, or `null` for one that asks for none. */
const registriesSchema = z
  .record(hostSchema, z.strictObject({ username: z.string().min(1).max(256), password: z.string().min(1).max(8_192) }).nullable())
  .refine((all) => Object.keys(all).length <= 256, 'must be at most 256');
const fileSchema = z.strictObject({ v: z.literal(1), registries: registriesSchema });
export type Registries = z.output<typeof registriesSchema>;

function registriesPath(dataFolder: string): string {
  return join(dataFolder, 'registries.json');
}

/**
 * The registries that the owner of a node has listed, with their logins.
 * @throws OrbError `invalid-request` for a file that cannot be read, or that others can
 */
export function readRegistries(dataFolder: string): Registries {
  const path = registriesPath(dataFolder);
  try {
    const text = readFileSync(path, 'utf8');
    if (process.platform !== 'win32' && (statSync(path).mode & 0o077) !== 0)
      throw new TypeError(`others on this computer can read it; close it: chmod 600 ${path}`);
    return parseWith(fileSchema, JSON.parse(text), 'file').registries;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw new OrbError('invalid-request', {
      message: `${path}, the registries of this node, cannot be used: ${(cause as Error).message}`,
      cause,
    });
  }
}

/** Lists a registry, with its login or none, or takes it off the list. A node that runs follows at its next fetch. */
export async function changeRegistry(dataFolder: string, host: string, login: Registries[string] | undefined): Promise<Registries> {
  parseWith(hostSchema, host, 'host');
  const { [host]: _, ...others } = readRegistries(dataFolder);
  const registries = parseWith(registriesSchema, login === undefined ? others : { ...others, [host]: login }, 'registries');
  await replaceFile(registriesPath(dataFolder), `${JSON.stringify({ v: 1, registries }, null, 2)}\n`);
  return registries;
}
