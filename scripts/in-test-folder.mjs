import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Of this folder and of those that tests make in it. Short, because paths of unix sockets end at 108 characters. */
const prefix = 'orb-';

/**
 * Gives tests a temporary folder of their own and removes it after them, so that a run that was broken off fills nobody's
 * disk. What tests left there is named, for one of them does not clean up; browsers and npm leave things of their own.
 * @param runTests runs them with this environment, to `{code, stopped}`
 * @returns what it came to
 */
export async function inTestFolder(runTests) {
  const folder = mkdtempSync(join(tmpdir(), prefix));
  try {
    const result = await runTests({ TMPDIR: folder });
    const left = readdirSync(folder).filter((name) => name.startsWith(prefix));
    if (!result.stopped && left.length > 0) console.error(`\nLeft behind in the temporary folder: ${left.join(', ')}`);
    return result;
  } finally {
    remove(folder);
  }
}

function remove(folder) {
  try {
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  } catch (error) {
    console.error(`${folder} cannot be removed: ${error.message}. Look for a program or a mount that still uses it.`);
  }
}
