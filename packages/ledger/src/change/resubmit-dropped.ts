import { createReadStream } from 'node:fs';
import { readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { isOrbError, type Block } from '@orb/protocol';
import type { Ledger } from '../port.ts';

const waitMs = 1_000;

/**
 * Brings the transactions of blocks that a change of the orderer took out of a copy to the new orderer. Each counts once,
 * whoever else brings it; what the ledger has gone past is refused. Goes on until all have an answer.
 * @param folder that of the ledger
 * @returns how many were taken
 */
export async function resubmitDropped(folder: string, ledger: Pick<Ledger, 'submit'>, signal: AbortSignal): Promise<number> {
  let taken = 0;
  const names = (await readdir(folder)).filter((name) => /^dropped-\d+\.ndjson$/.test(name));
  for (const name of names.sort()) {
    const path = join(folder, name);
    for await (const line of createInterface({ input: createReadStream(path), crlfDelay: Infinity })) {
      for (const transaction of (JSON.parse(line) as Block).transactions) {
        if (transaction.kind !== 'orderer.change' && (await submitted(transaction, ledger, signal))) taken++;
        if (signal.aborted) return taken;
      }
    }
    await rename(path, `${path}.done`);
  }
  return taken;
}

async function submitted(
  transaction: Block['transactions'][number],
  ledger: Pick<Ledger, 'submit'>,
  signal: AbortSignal,
): Promise<boolean> {
  while (!signal.aborted) {
    try {
      await ledger.submit(transaction);
      return true;
    } catch (error) {
      if (!isOrbError(error) || !error.retryable) return false;
      await sleep(waitMs, undefined, { signal }).catch(() => undefined);
    }
  }
  return false;
}
