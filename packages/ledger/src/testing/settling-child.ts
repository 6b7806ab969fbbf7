import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const program = fileURLToPath(new URL('crash-child.ts', import.meta.url));

export interface SettlingChild {
  /** Jobs whose settlement was acknowledged, in that order. */
  readonly acknowledged: readonly number[];
  /** What it said before its end. */
  readonly complaint: string;
}

/**
 * Lets a process settle jobs on a ledger's folder until it ends or has acknowledged so many: then it is killed in the
 * middle of its work.
 * @param options.shell lines that a shell runs first, such as limits
 * @param options.whenReady called when it settles
 */
export async function settleInChild(
  folder: string,
  options: { readonly killAfter?: number; readonly shell?: string; readonly whenReady?: () => Promise<void> } = {},
): Promise<SettlingChild> {
  const { killAfter = Infinity, shell, whenReady } = options;
  const argv = [process.execPath, program, folder];
  const settling = shell
    ? spawn('sh', ['-c', `${shell}\nexec "$@"`, 'sh', ...argv], { stdio: ['ignore', 'pipe', 'pipe'] })
    : spawn(argv[0]!, argv.slice(1), { stdio: ['ignore', 'pipe', 'pipe'] });
  const acknowledged: number[] = [];
  let complaint = '';
  settling.stderr.on('data', (data: Buffer) => (complaint = (complaint + String(data)).slice(-8_192)));
  try {
    const closed = once(settling, 'close');
    for await (const line of createInterface({ input: settling.stdout })) {
      if (line === 'ready') {
        await whenReady?.();
        continue;
      }
      acknowledged.push(Number(line));
      if (acknowledged.length === killAfter) settling.kill('SIGKILL');
    }
    await closed;
  } finally {
    settling.kill('SIGKILL');
  }
  return { acknowledged, complaint };
}
