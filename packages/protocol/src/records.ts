import type { Hex32 } from '#crypto';
import type { FaultOf } from './errors.ts';
import type { AccountId, AllowanceId, FunctionId, JobId, NodeId, SuperNodeId, VersionId } from './ids.ts';
import { outcomes } from './job.ts';
import type { AcknowledgementRow, ReceiptRow, TicketRow } from './job-row.ts';
import type { Manifest } from './manifest.ts';
import type { Units } from './money.ts';
import type { OrdererCertificate } from './orderer-change.ts';
import type { Role } from './transaction.ts';

/*
 * What the ledger's state holds. Keys are slash-separated text; values are JSON. Every engine, client and verifier
 * reads the same records.
 */

/** Keys of the state. */
export const stateKeys = {
  account: (id: AccountId) => `account/${id}`,
  /** The id of the account that has the name. */
  accountName: (name: string) => `account-name/${name}`,
  balance: (id: AccountId) => `balance/${id}`,
  superNode: (id: SuperNodeId) => `super-node/${id}`,
  node: (id: NodeId) => `node/${id}`,
  function: (id: FunctionId) => `function/${id}`,
  /** Who holds the name now, and how many have. */
  functionName: (owner: AccountId, name: string) => `function-name/${owner}/${name}`,
  /** A version of one function, by its content. */
  version: (fn: FunctionId, version: VersionId) => `version/${fn}/${version}`,
  /** The id of a version of one function, by its number. */
  versionNumber: (fn: FunctionId, number: number) => `version-number/${fn}/${String(number).padStart(8, '0')}`,
  allowance: (id: AllowanceId) => `allowance/${id}`,
  credit: (account: AccountId, superNode: SuperNodeId) => `credit/${account}/${superNode}`,
  /** A job that is not closed; closed ones are found through the engine's index of blocks. */
  job: (id: JobId) => `job/${id}`,
  /** A version of the parameters. */
  parameters: (version: number) => `parameters/${version}`,
  /** Number of the version of the parameters that holds now. */
  currentParameters: 'parameters',
  /** Ledger time at which a version of the parameters was replaced. */
  parametersEnd: (version: number) => `parameters-end/${version}`,
  /** Who orders in an epoch after the first, and why. */
  orderer: (epoch: number) => `orderer/${String(epoch).padStart(8, '0')}`,
  /** Number of the epoch that holds now; absent in the first. */
  currentEpoch: 'orderer',
  supply: 'supply',
  /** Number of a super node's settlements, and the first whose record is kept. */
  settlements: (superNode: SuperNodeId) => `settlements/${superNode}`,
  /** What one settlement closed, for as long as that can be disputed. */
  settlement: (superNode: SuperNodeId, number: number) => `settlement/${superNode}/${String(number).padStart(12, '0')}`,
  /** A node has claimed a closed job: it does so once. */
  claimed: (id: JobId, node: NodeId) => `claimed/${id}/${node}`,
  /** A payment for a node was taken back: it is once. */
  refunded: (id: JobId, node: NodeId) => `refunded/${id}/${node}`,
  /** Votes on one subject so far; by the hash of the subject's canonical JSON. */
  vote: (subject: Hex32) => `vote/${subject}`,
  /** Root over the pieces of a version's code. */
  codeRoot: (fn: FunctionId, version: VersionId) => `code-root/${fn}/${version}`,
  /** The last seeding challenge of a super node for a function. */
  challenge: (superNode: SuperNodeId, fn: FunctionId) => `challenge/${superNode}/${fn}`,
  /** Commission that waits for the peers. */
  commissionPool: (superNode: SuperNodeId) => `credit/commission/${superNode}`,
  /** The seeding share of a function's jobs, which waits for its seeders. */
  seedingPool: (fn: FunctionId, superNode: SuperNodeId) => `credit/seeding-${fn}/${superNode}`,
} as const;

/** A person or organisation. */
export interface AccountRecord {
  readonly id: AccountId;
  readonly name: string;
  /** Keys that may sign for it now. */
  readonly keys: readonly Hex32[];
  readonly roles: readonly Role[];
  /** Number of the last transaction it signed; the next one is one more. */
  readonly sequence: number;
  /** May give the account new keys, after a delay. */
  readonly recoveryKey?: Hex32;
  /** Recoveries asked for so far. */
  readonly recoveries?: number;
  /** Keys that the account will have when the time has come, unless it says no. */
  readonly recovery?: { readonly keys: readonly Hex32[]; readonly due: number };
}

/** Money that its account can spend. Only the treasury's is negative, by as much as all others hold. */
export interface BalanceRecord {
  /** May start with `-` for the treasury. */
  readonly available: string;
  /** Faucet grants received so far, on a test network. */
  readonly granted?: Units;
}

/** A public host. */
export interface SuperNodeRecord {
  readonly id: SuperNodeId;
  readonly key: Hex32;
  readonly account: AccountId;
  /** Where nodes dial: wss://… */
  readonly address: string;
  /** Where callers go: https://… or http://127.0.0.1:… */
  readonly gateway: string;
  readonly bond: Units;
  /** Part of the bond that has been called back, and when it may go. */
  readonly unbonding?: { readonly units: Units; readonly due: number };
  /** Part of the bond that open claims hold. */
  readonly bondReserved?: Units;
}

/** A lent computer. */
export interface NodeRecord {
  readonly id: NodeId;
  readonly key: Hex32;
  readonly account: AccountId;
  readonly label: string;
  readonly retired: boolean;
}

/** A function, whatever its versions. */
export interface FunctionRecord {
  readonly id: FunctionId;
  readonly account: AccountId;
  readonly name: string;
  readonly incarnation: number;
  readonly controlKey: Hex32;
  readonly recoveryKey: Hex32;
  /** Number of the last control action; the next one is one more. */
  readonly sequence: number;
  readonly state: 'active' | 'stopped' | 'decommissioned';
  /** Highest version number so far. */
  readonly latest: number;
  /** `[version number, weight]`: one entry unless traffic is shared. */
  readonly traffic: readonly (readonly [number, number])[];
}

/** Who holds a name of an owner. */
export interface FunctionNameRecord {
  readonly function: FunctionId;
  readonly incarnation: number;
}

/** One immutable version. */
export interface VersionRecord {
  readonly id: VersionId;
  readonly function: FunctionId;
  readonly number: number;
  readonly manifest: Manifest;
}

/** Money that a payer has set aside for one super node’s jobs. */
export interface AllowanceRecord {
  readonly id: AllowanceId;
  readonly payer: AccountId;
  readonly superNode: SuperNodeId;
  readonly functions: '*' | readonly FunctionId[];
  readonly maxUnits: Units;
  readonly maxPerCall: Units;
  readonly expires: number;
  /** Held units not spent yet. */
  readonly left: Units;
  /** Every sequence below this is closed. */
  readonly closedBelow: number;
  /** Closed sequences above it, as ascending, disjoint `[first, last]` runs. */
  readonly closed: readonly (readonly [number, number])[];
  /** Jobs that are open, and what of `left` they hold. Absent when there are none. */
  readonly open?: { readonly jobs: number; readonly units: Units };
  /** Released while jobs were open: what they leave goes to the payer when the last one closes. */
  readonly released?: true;
}

/** What an account has earned at one super node. */
export interface CreditRecord {
  /** Past the dispute window: a sweep moves it to the balance. */
  readonly vested: Units;
  /** `[time when it vests, units]`, ascending. */
  readonly vesting: readonly (readonly [number, Units])[];
}

/** A job that waits for its receipt or its acknowledgement. */
export interface OpenJobRecord {
  readonly id: JobId;
  readonly superNode: SuperNodeId;
  readonly node: NodeId;
  readonly ticket: TicketRow;
  readonly receipt: ReceiptRow | null;
  readonly acknowledgement: AcknowledgementRow | null;
  readonly changes: JobRecord['changes'];
  /** What it holds for its payment, and of what: its allowance, or the bond of a super node that issued too much. */
  readonly holds: { readonly units: Units; readonly of: 'allowance' | 'bond' };
  /** Until when the super node may answer a receipt; after it, silence pays. */
  readonly answerBy?: number;
  /** In dispute: what decides until then; after it, nobody pays. */
  readonly disputedUntil?: number;
  /** Its sequence is closed: a node has answered the word that it was lost. */
  readonly reopened?: true;
}

/** What one settlement closed. */
export interface SettlementRecord {
  readonly number: number;
  readonly height: number;
  /** When it was settled, and until when that can be disputed. */
  readonly time: number;
  readonly until: number;
  readonly count: number;
  /** `rowsRoot` over the texts of the closed rows. */
  readonly root: Hex32;
}

/** Numbers of a super node's settlements: those from `first` to before `next` have records. */
export interface SettlementsRecord {
  readonly first: number;
  readonly next: number;
}

/** The orderer of an epoch after the first. */
export interface OrdererRecord {
  readonly epoch: number;
  readonly key: Hex32;
  readonly gateway: string;
  /** Height of its first block. */
  readonly since: number;
  /** What proves it, to whoever knows the epoch before. */
  readonly certificate: OrdererCertificate;
}

/** Votes on one subject. */
export interface VoteRecord {
  readonly accounts: readonly AccountId[];
}

/** Root over the pieces of a version's code. */
export interface CodeRootRecord {
  readonly root: Hex32;
  readonly pieces: number;
}

/** A seeding challenge, open or over. */
export interface ChallengeRecord {
  readonly number: number;
  readonly version: VersionId;
  /** With a node's id it says which piece the node must show; nearest to it are those who are paid. */
  readonly seed: Hex32;
  /** Nodes commit to their pieces until then, */
  readonly due: number;
  /** and show them until then. */
  readonly until: number;
  /** One node of an account answers for all. */
  readonly commitments: readonly { readonly node: NodeId; readonly account: AccountId; readonly commitment: Hex32 }[];
  readonly answers: readonly { readonly node: NodeId; readonly account: AccountId }[];
  readonly paid: boolean;
}

/**
 * Money made and unmade so far. Balances (the treasury's is negative), held allowances, bonds and credits sum to zero
 * at every block; what the treasury owes, minted − burned, is held by the others or has been redeemed to it.
 */
export interface SupplyRecord {
  readonly minted: Units;
  readonly burned: Units;
}

/** A job as the monitoring ledger shows it. */
export interface JobRecord {
  readonly id: JobId;
  readonly state: 'assigned' | 'done' | 'received' | 'paid' | 'failed' | 'expired' | 'refunded';
  readonly developer: AccountId;
  readonly provider: AccountId;
  readonly superNode: SuperNodeId;
  readonly node: NodeId;
  readonly ticket: TicketRow;
  readonly receipt: ReceiptRow | null;
  readonly acknowledgement: AcknowledgementRow | null;
  /** Base units taken from the allowance. */
  readonly cost: Units;
  /** Who got how much of it. */
  readonly payments: readonly {
    readonly account: AccountId;
    readonly units: Units;
    readonly reason: 'provider' | 'relay' | 'commission' | 'seeding' | 'royalty';
  }[];
  /** The super node had issued more than the allowance: its bond paid, and the provider alone. Absent otherwise. */
  readonly paidFrom?: 'bond';
  /** Every change: what, in which block, at which ledger time. */
  readonly changes: readonly { readonly to: JobRecord['state']; readonly height: number; readonly time: number }[];
}

/** Whose fault it is that a job ended as it did; null when it is nobody's, or is not known yet. */
export function faultOfJob({ state, receipt, acknowledgement }: Pick<JobRecord, 'state' | 'receipt' | 'acknowledgement'>): FaultOf | null {
  if (receipt) return state === 'expired' && acknowledgement?.[0] !== true ? 'network' : outcomes[receipt[8]].faultOf;
  return state === 'failed' || state === 'expired' ? 'provider' : null;
}
