import { randomBytes } from 'node:crypto';
import { link, mkdir, open, rename, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { OrbError } from '@orb/protocol';

/** No key file comes near this. */
const keyFileBytes = 64 * 1024;

/**
 * Writes a file that only its owner may read, whole or not at all, flushed to disk.
 * @param options.replace false refuses to touch a file that is there
 * @returns false when the file is there and may not be replaced
 */
export async function writePrivate(path: string, text: string, options: { readonly replace: boolean }): Promise<boolean> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const draft = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  const file = await open(draft, 'wx', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  if (options.replace) {
    await rename(draft, path);
    return true;
  }
  try {
    // A hard link fails where a rename would silently replace somebody's only key.
    await link(draft, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    await unlink(draft);
  }
}

/**
 * Reads a file that must be the reader's own and closed to everybody else; undefined when there is none.
 * @throws OrbError `key-store` naming the file and what is wrong with it
 */
export async function readPrivate(path: string, options: { readonly maxBytes?: number } = {}): Promise<string | undefined> {
  let file;
  try {
    file = await open(path, 'r');
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    throw new OrbError('key-store', { message: `${path} cannot be read (${code}).`, cause });
  }
  try {
    const stat = await file.stat();
    const shared = process.platform !== 'win32' && (stat.mode & 0o077) !== 0;
    if (!stat.isFile() || stat.size > (options.maxBytes ?? keyFileBytes))
      throw new OrbError('key-store', { message: `${path} is not such a file as it should be, or it is too large.` });
    if (shared)
      throw new OrbError('key-store', { message: `${path} can be read by others on this machine.`, hint: `Close it: chmod 600 ${path}` });
    return await file.readFile('utf8');
  } finally {
    await file.close();
  }
}
