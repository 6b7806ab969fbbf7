import { isOrbError, type ChainId, type JobRecord } from '@orb/protocol';
import { Orb } from '@orb/sdk';
import type { NodeLedger } from './node-ledger.ts';

/** The ledger by way of super nodes' gateways: the first that answers is asked. */
export function httpLedger(gateways: readonly string[], chain: ChainId): NodeLedger {
  const closing = new AbortController();
  const orb = new Orb({
    url: gateways,
    chain,
    fetch: (url, request) =>
      fetch(url, { ...request, signal: AbortSignal.any([closing.signal, ...(request?.signal ? [request.signal] : [])]) }),
  });
  return {
    submit: (transaction) => orb.ledger.submit(transaction),
    get: (key) => orb.ledger.get(key),
    list: (prefix) => orb.ledger.range(prefix),
    job: async (id) => {
      try {
        return (await orb.job(id)).job as JobRecord;
      } catch (error) {
        if (isOrbError(error) && error.code === 'not-found') return undefined;
        throw error;
      }
    },
    closed: (id) => orb.jobClosed(id),
    close: () => closing.abort(),
  };
}
