import { followBlocks, type Ledger } from '@orb/ledger';

/** How often an idle stream shows that it lives: often enough for proxies, which cut after half a minute at the earliest. */
const heartbeatMs = 10_000;

/** Blocks from a height on as NDJSON, then each new one; an empty line now and then while there is none. */
export async function* blockStream(ledger: Ledger, from: number, signal: AbortSignal): AsyncGenerator<string, void> {
  const blocks = followBlocks(ledger, from, signal);
  // At once, so that the headers go out.
  yield '\n';
  try {
    for (let next = blocks.next(); ;) {
      const result = await within(next, heartbeatMs);
      if (result === 'late') {
        yield '\n';
        continue;
      }
      if (result.done) return;
      yield `${result.value}\n`;
      next = blocks.next();
    }
  } finally {
    await blocks.return();
  }
}

async function within<T>(promise: Promise<T>, ms: number): Promise<T | 'late'> {
  const { promise: late, resolve } = Promise.withResolvers<'late'>();
  const timer = setTimeout(() => resolve('late'), ms);
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
