import { Readable } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import { FinalSnapshots, snapshotLines, type Cosignatures, type Ledger } from '@orb/ledger';
import { OrbError } from '@orb/protocol';

/** How many may fetch one at once: each keeps all records of its moment in memory. */
const fetchersMax = 4;

/** The state of the ledger as its peers have co-signed it, for those who join. */
export function snapshotRoute(
  app: FastifyInstance,
  { ledger, cosignatures }: { readonly ledger: Ledger; readonly cosignatures: Cosignatures | undefined },
): void {
  const snapshots = cosignatures && new FinalSnapshots({ ledger, cosignatures });
  let fetchers = 0;
  app.get('/v1/ledger/snapshot', async (_request, reply) => {
    if (!snapshots) throw new OrbError('not-supported', { message: 'Nobody keeps co-signatures here, so there is no snapshot.' });
    if (fetchers >= fetchersMax) throw new OrbError('overloaded', { message: 'Too many fetch a snapshot already.', retryAfterMs: 10_000 });
    fetchers++;
    reply.raw.once('close', () => fetchers--);
    const snapshot = await snapshots.take();
    return reply
      .type('application/x-ndjson')
      .header('cache-control', 'no-store')
      .send(Readable.from(lines(snapshot)));
  });
}

async function* lines(snapshot: Parameters<typeof snapshotLines>[0]): AsyncGenerator<string, void> {
  for (const line of snapshotLines(snapshot)) {
    yield `${line}\n`;
    // A large one must not keep the calls waiting.
    await new Promise((resolve) => setImmediate(resolve));
  }
}
