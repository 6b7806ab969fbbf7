import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';

/** The command line of a process; undefined when there is none of this id. Process ids are used again: look before acting. */
export async function commandOf(pid: number): Promise<string | undefined> {
  if (process.platform === 'linux') {
    const text = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => undefined);
    return text === undefined || text === '' ? undefined : text.replaceAll('\0', ' ').trim();
  }
  if (process.platform === 'win32') return isAlive(pid) ? '' : undefined;
  return new Promise((resolve) => {
    execFile('ps', ['-o', 'args=', '-p', String(pid)], (error, stdout) => resolve(error ? undefined : stdout.trim() || undefined));
  });
}

/**
 * When a process began, in this system's words; undefined when there is none of this id. Process ids are used again,
 * and a command line may be written in several ways (a relative path, a link): id and birth together name one process.
 */
export async function birthOf(pid: number): Promise<string | undefined> {
  if (process.platform === 'linux') {
    // A process without a command line has given its memory back: it is ending (its state says `R` for some
    // microseconds more), or a zombie, whose parent has not asked how it ended and may never ask.
    if ((await commandOf(pid)) === undefined) return undefined;
    // proc(5): the 22nd field; counted from the last parenthesis, because the name in brackets may hold anything.
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
    return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  }
  if (process.platform === 'win32') return isAlive(pid) ? 'alive' : undefined;
  return new Promise((resolve) => {
    execFile('ps', ['-o', 'lstart=', '-p', String(pid)], (error, stdout) => resolve(error ? undefined : stdout.trim() || undefined));
  });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Waits until a process has gone. @returns false when it is still there after `timeoutMs` */
export async function waitUntilGone(pid: number, timeoutMs: number): Promise<boolean> {
  const deadline = Date.now() + timeoutMs;
  while ((await commandOf(pid)) !== undefined) {
    if (Date.now() > deadline) return false;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return true;
}
