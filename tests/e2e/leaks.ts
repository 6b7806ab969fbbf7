import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { OrbProcess } from './orb-process.ts';

/** Every private key of a network: of accounts, functions, nodes and the super node. */
export async function secretsUnder(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const secrets: string[] = [];
  for (const file of files) {
    if (file.endsWith('.key')) secrets.push((await readFile(file, 'utf8')).trim());
    else if (/keys\/[^/]+\.json$|\.key\.json$|\.client-secret\.json$|\.recovery\.json$/.test(file)) {
      const { secret } = JSON.parse(await readFile(file, 'utf8')) as { secret?: string };
      if (secret !== undefined) secrets.push(secret);
    }
  }
  return secrets;
}

/** Who has said a secret: one of the network's keys, or one of `more`. Names the process, never the secret. */
export async function findLeaks(
  folder: string,
  processes: readonly OrbProcess[],
  more: readonly string[] = [],
): Promise<readonly string[]> {
  const secrets = [...(await secretsUnder(folder)), ...more];
  return processes
    .filter(({ stdout, stderr }) => secrets.some((secret) => stdout.includes(secret) || stderr.includes(secret)))
    .map(({ name }) => `${name} printed a secret`);
}
