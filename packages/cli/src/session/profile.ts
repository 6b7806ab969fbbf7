import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { OrbError, hex32, parseWith } from '@orb/protocol';
import { z } from 'zod';

/** Where `orb` looks when nothing else is said. */
export const defaultGateway = 'http://127.0.0.1:7080';

const profileSchema = z.object({
  v: z.literal(1),
  /** One address, or several with commas between them. */
  gateway: z.string().max(2_048).optional(),
  account: z.string().max(64).optional(),
  /** The network that `orb up` runs on this computer, and who deploys there: used where nothing else is chosen. */
  local: z.object({ gateway: z.string().max(2_048), account: z.string().max(64) }).optional(),
  /** The chain that was found at each gateway when its owner first signed something there. */
  chains: z.record(z.string().max(256), hex32).default({}),
});

/** What `orb` remembers between commands; nothing secret. */
export type Profile = z.output<typeof profileSchema>;

/** @throws OrbError `invalid-request` when the file is damaged */
export async function readProfile(home: string): Promise<Profile> {
  const path = join(home, 'config.json');
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch {
    return { v: 1, chains: {} };
  }
  try {
    return parseWith(profileSchema, JSON.parse(text), path);
  } catch (cause) {
    throw new OrbError('invalid-request', { message: `${path} is damaged.`, hint: 'Mend it or delete it: it holds no keys.', cause });
  }
}

export async function writeProfile(home: string, profile: Profile): Promise<void> {
  await mkdir(home, { recursive: true, mode: 0o700 });
  const path = join(home, 'config.json');
  await writeFile(`${path}.${process.pid}.tmp`, `${JSON.stringify(profile, null, 2)}\n`, { mode: 0o600 });
  await rename(`${path}.${process.pid}.tmp`, path);
}
