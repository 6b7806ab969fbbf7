export { openReplicaLedger, type ReplicaLedgerOptions } from './open-replica-ledger.ts';
export type { ReplicaLedger, ReplicaStatus } from './replica-ledger.ts';
export { restoreLedger, type RestoreOptions } from './restore-ledger.ts';
export { EvidenceFiles, type Evidence } from './evidence.ts';
export { Refusals, type RefusalNotice } from './refusals.ts';
export { startSpreading } from './spread-refusals.ts';
export { ledgerUpstream, type Upstream } from './upstream.ts';
export { httpUpstream, type HttpUpstreamOptions } from './http-upstream.ts';
export { RovingUpstream, type RovingOptions } from './roving-upstream.ts';
