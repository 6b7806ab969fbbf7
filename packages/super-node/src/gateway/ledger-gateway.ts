import { stateKeys, superNodeId, type Hex32, type Json } from '@orb/protocol';
import type { ChangeDesk, Cosignatures, Ledger, Refusals } from '@orb/ledger';
import { splitListen } from '../config.ts';
import type { Log } from '../log.ts';
import { finalityRoutes } from './api/finality-routes.ts';
import { ledgerRoutes } from './api/ledger-routes.ts';
import { ordererRoutes } from './api/orderer-routes.ts';
import { snapshotRoute } from './api/snapshot-route.ts';
import { createApp } from './app.ts';
import { apiCors } from './cors.ts';
import { RateLimit } from './rate-limit.ts';

export interface LedgerGatewayOptions {
  /** HOST:PORT; port 0 takes a free one. */
  readonly listen: string;
  /** The peer's own key. */
  readonly key: Hex32;
  readonly software: string;
}

/** The HTTP side of a plain ledger peer: reads, proofs and following from its own copy; transactions go on to the orderer. */
export async function startLedgerGateway(
  { listen, key, software }: LedgerGatewayOptions,
  {
    ledger,
    cosignatures,
    refusals,
    desk,
    log,
  }: {
    readonly ledger: Ledger;
    readonly cosignatures: Cosignatures;
    readonly refusals?: Refusals;
    readonly desk?: ChangeDesk;
    readonly log: Log;
  },
): Promise<{ readonly url: string; close(): Promise<void> }> {
  const app = createApp({ trustedProxies: [] }, log);
  apiCors(app);
  const writeLimit = new RateLimit({ perSecond: 50, burst: 500 }, { nowMs: Date.now });
  ledgerRoutes(app, { ledger, writeLimit });
  finalityRoutes(app, { ledger, writeLimit, cosignatures, refusals });
  ordererRoutes(app, { ledger, writeLimit, desk });
  snapshotRoute(app, { ledger, cosignatures });
  app.get('/v1/network', async () => ({
    name: ledger.genesis.name,
    network: ledger.genesis.network,
    chain: ledger.chain,
    genesis: ledger.genesis,
    parameters: await currentParameters(ledger),
    head: ledger.head,
    superNode: { id: superNodeId(key) },
    software,
  }));
  const url = await app.listen(splitListen(listen));
  return { url, close: () => app.close() };
}

async function currentParameters(ledger: Ledger): Promise<Json | undefined> {
  return ledger.get(stateKeys.parameters((await ledger.get(stateKeys.currentParameters)) as number));
}
