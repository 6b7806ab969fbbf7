export type { AccountInfo, Earned } from './accounts-client.ts';
export type { AccountsClient } from './accounts-client.ts';
export type { AllowancesClient, AllowanceTerms } from './allowances-client.ts';
export type {
  Committed,
  FunctionInfo,
  FunctionSummary,
  JobClosed,
  JobInfo,
  JobSummary,
  KeyChange,
  LedgerFinality,
  OrdererStanding,
  LocatedTransaction,
  LogEntry,
  NetworkInfo,
  NodeInfo,
  SecretsInfo,
  SeedStep,
} from './answers.ts';
export type { CallerAccess } from './calls/caller-link.ts';
export type { CheckedReceipt } from './calls/check-receipt.ts';
export { streamBody } from './call.ts';
export type { CallInfo, CallOptions, CallResult, CallStream, CallTimes, FunctionRequest, StreamOptions } from './call.ts';
export type { Deployed, DeployOptions } from './deploy.ts';
export { parseFunctionPath, type FunctionPath } from './function-path.ts';
export type { FunctionKeys, FunctionsClient, Owner } from './functions-client.ts';
export type { LedgerClient, SequencedKind, StateEntry } from './ledger-client.ts';
export { Orb, type OrbOptions } from './orb.ts';
export type { ProveOptions, ProvenJob } from './prove-call.ts';
export type { NewToken, TokenInfo, TokensClient, TokenTerms } from './tokens-client.ts';
export { readBytes } from './read-bounded.ts';
export { EligibleNodes, type EligibleNode, type Recipients } from './secrets/eligible-nodes.ts';
export type { DeploySecrets, HandedOut } from './secrets/hand-out.ts';
export { newKey, type NewKey } from './new-key.ts';
export {
  checkJobProof,
  createSigner,
  finalityOf,
  isOrbError,
  OrbError,
  type CheckedJobProof,
  type ErrorCode,
  type FaultOf,
  type Finality,
  type JobProof,
  type Signer,
} from '@orb/protocol';
