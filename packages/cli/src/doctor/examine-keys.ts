import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Finding } from './finding.ts';

/** More files than anybody's keys are. */
const maxFiles = 10_000;

/** Private keys must be closed to everybody else on the machine. @param home ORB_HOME */
export async function examineKeys(home: string): Promise<Finding> {
  const name = 'keys';
  if (process.platform === 'win32') return { name, state: 'warn', words: 'Who may read them cannot be told on this system.' };
  const secrets = (await filesUnder(home)).filter((path) => isSecret(path.slice(home.length + 1)));
  const wrong: string[] = [];
  for (const path of [join(home, 'keys'), ...secrets]) {
    const found = await stat(path).catch(() => undefined);
    if (found && ((found.mode & 0o077) !== 0 || found.uid !== process.getuid?.())) wrong.push(path);
  }
  if (wrong.length === 0) return { name, state: 'good', words: `${secrets.length} private ${secrets.length === 1 ? 'key' : 'keys'}, closed to others` };
  return {
    name,
    state: 'bad',
    words: `Others on this machine may read ${wrong.slice(0, 3).join(', ')}${wrong.length > 3 ? ` and ${wrong.length - 3} more` : ''}.`,
    mend: `chown -R "$USER" '${home}' && chmod -R go= '${home}' – and rotate the keys if somebody else uses this machine`,
  };
}

function isSecret(path: string): boolean {
  return /^keys\/[^/]+\.json$/.test(path) || /\.(client-secret|recovery|key)\.json$/.test(path);
}

async function filesUnder(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => entry.isFile())
    .slice(0, maxFiles)
    .map((entry) => join(entry.parentPath, entry.name));
}
