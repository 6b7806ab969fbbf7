import { randomId, sha256, type Hex32 } from '#crypto';
import { labels, statement } from './canonical.ts';
import { limits } from './limits.ts';

/** A permanent account id: 64 hex digits. */
export type AccountId = Hex32;
/** Hash of a node’s key: 64 hex digits. */
export type NodeId = Hex32;
/** Hash of a super node’s key: 64 hex digits. */
export type SuperNodeId = Hex32;
/** Hash of owner, name and incarnation: 64 hex digits. */
export type FunctionId = Hex32;
/** Hash of the canonical manifest: 64 hex digits. */
export type VersionId = Hex32;
/** 32 hex digits: the payer and its sequence number, hashed. */
export type AllowanceId = string;
/** 32 hex digits, random; one per call. */
export type CallId = string;
/** `<allowance id>-<sequence>`; one per attempt or replica of a call. */
export type JobId = string;
/** Hash of a transaction without its signatures: 64 hex digits. */
export type TransactionId = Hex32;
/** Hash of the genesis: 64 hex digits. */
export type ChainId = Hex32;

/** An account is known for ever by the hash of its first key, whatever keys it has later. */
export function accountId(firstKey: Hex32): AccountId {
  return sha256(statement(labels.account, firstKey));
}

/** A node's id; hashing the key spreads ids evenly for XOR distance. */
export function nodeId(key: Hex32): NodeId {
  return sha256(statement(labels.node, key));
}

/** A super node’s id. */
export function superNodeId(key: Hex32): SuperNodeId {
  return sha256(statement(labels.superNode, key));
}

/** @param incarnation 1 for the first function of this name, one more each time a decommissioned name is taken again */
export function functionId(owner: AccountId, name: string, incarnation: number): FunctionId {
  return sha256(statement(labels.function, [owner, name, incarnation]));
}

/** @param sequence the payer's account sequence that opened the allowance */
export function allowanceId(payer: AccountId, sequence: number): AllowanceId {
  return sha256(statement(labels.allowance, [payer, sequence])).slice(0, 32);
}

/** A fresh random call id. */
export function newCallId(): CallId {
  return randomId();
}

/** A job’s id. @param sequence 0 to {@link maxJobSequence} */
export function jobId(allowance: AllowanceId, sequence: number): JobId {
  return `${allowance}-${sequence}`;
}

/** Sequences of jobs have at most 15 digits: far below what a number holds exactly. */
export const maxJobSequence = 999_999_999_999_999;

/** The parts of a job id; undefined when it is not one. */
export function parseJobId(id: string): { allowance: AllowanceId; sequence: number } | undefined {
  const match = /^([0-9a-f]{32})-(0|[1-9]\d{0,14})$/.exec(id);
  return match ? { allowance: match[1]!, sequence: Number(match[2]) } : undefined;
}

/** Account names: 3 to 39 of a–z, 0–9 and single hyphens, starting with a letter, as in a host name. */
export function isAccountName(name: string): boolean {
  return name.length >= 3 && name.length <= limits.accountNameChars && /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(name);
}

/** Function names: 1 to 63 of a–z, 0–9 and single hyphens, starting with a letter or digit. */
export function isFunctionName(name: string): boolean {
  return name.length >= 1 && name.length <= limits.functionNameChars && /^[a-z0-9]+(-[a-z0-9]+)*$/.test(name);
}

/** True for 32 bytes in lower-case hexadecimal. */
export function isHex32(text: unknown): text is Hex32 {
  return typeof text === 'string' && text.length === 64 && isHex(text);
}

/** True for 16 bytes in lower-case hexadecimal: allowance and call ids. */
export function isHex16(text: unknown): text is string {
  return typeof text === 'string' && text.length === 32 && isHex(text);
}

/** By code unit: 1 for a lower-case hexadecimal digit. */
const hexDigits = Uint8Array.from({ length: 128 }, (_, unit) => (/[0-9a-f]/.test(String.fromCharCode(unit)) ? 1 : 0));

/** Whether all are lower-case hexadecimal digits; every call has a dozen such texts, and a pattern takes three times as long. */
function isHex(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (hexDigits[text.charCodeAt(i)] !== 1) return false;
  return true;
}

/**
 * XOR distance of two 64-digit ids as a number for sorting (Maymounkov and Mazières, Kademlia, 2002). Only the first
 * 13 digits count: 52 bits order any set of nodes that fits on this planet, and equal prefixes compare as equal.
 */
export function xorDistance(a: Hex32, b: Hex32): number {
  let distance = 0;
  for (let i = 0; i < 13; i++) distance = distance * 16 + (Number.parseInt(a[i]!, 16) ^ Number.parseInt(b[i]!, 16));
  return distance;
}
