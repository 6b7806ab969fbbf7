export { openReplicaLedger, type ReplicaLedgerOptions } from './open-replica-ledger.ts';
export type { ReplicaLedger, ReplicaStatus } from './replica-ledger.ts';
export { restoreLedger, type RestoreOptions } from './restore-ledger.ts';
export type { Evidence } from './evidence.ts';
export { ledgerUpstream, type Upstream } from './upstream.ts';
export { httpUpstream, type HttpUpstreamOptions } from './http-upstream.ts';
