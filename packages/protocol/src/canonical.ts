import { utf8 } from './bytes.ts';

/** What can be signed: plain JSON. Money and other large integers travel as decimal strings. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json | undefined };

/** Deeper values are refused: nothing of Orb's nests more than ten levels, and hostile input must not exhaust the stack. */
const maxDepth = 64;

/**
 * The one byte form of a JSON value: RFC 8785 (JSON Canonicalization Scheme). Undefined members are left out.
 * Our own serializer because it is half of what settling costs, and stricter: see docs/decisions/0010.
 * @throws TypeError for whatever JSON cannot say exactly: lone surrogates, NaN, infinities, undefined outside members,
 *   bigints, functions, class instances, nesting beyond 64 levels
 */
export function canonical(value: Json): string {
  return write(value, 0);
}

function write(value: unknown, depth: number): string {
  if (typeof value !== 'object' || value === null) {
    checkScalar(value);
    return JSON.stringify(value);
  }
  if (depth > maxDepth) throw new TypeError('a value nested this deeply cannot be made canonical');
  if (Array.isArray(value)) {
    // Arrays of scalars and of such arrays, as rows are, have only one JSON text: the engine writes it fastest.
    if (isRow(value, depth)) return writeRow(value);
    return `[${value.map((item) => write(item, depth + 1)).join(',')}]`;
  }
  return writeObject(value as Record<string, unknown>, depth);
}

function writeObject(value: Record<string, unknown>, depth: number): string {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== null && Object.getPrototypeOf(prototype) !== null) throw new TypeError('only plain objects can be made canonical');
  let text = '{';
  // The default order of sort() is RFC 8785's: by UTF-16 code units.
  for (const key of Object.keys(value).sort()) {
    const member = value[key];
    if (member === undefined) continue;
    checkScalar(key);
    text += `${text.length > 1 ? ',' : ''}${JSON.stringify(key)}:${write(member, depth + 1)}`;
  }
  return `${text}}`;
}

/** Whether these are scalars and arrays of such. Texts are not looked into: {@link writeRow} does it for all at once. */
function isRow(items: readonly unknown[], depth: number): boolean {
  if (depth > maxDepth) throw new TypeError('a value nested this deeply cannot be made canonical');
  for (let i = 0; i < items.length; i++) {
    const item = items[i];
    if (typeof item === 'string') continue;
    if (typeof item !== 'object' || item === null) checkScalar(item);
    else if (!Array.isArray(item) || !isRow(item, depth + 1)) return false;
  }
  return true;
}

function writeRow(row: readonly unknown[]): string {
  const text = JSON.stringify(row);
  // The engine writes a lone surrogate as \udXXX; a text may also say so itself, which a look at each tells.
  if (text.includes('\\ud')) checkTexts(row);
  return text;
}

function checkTexts(items: readonly unknown[]): void {
  for (const item of items) {
    if (Array.isArray(item)) checkTexts(item);
    else checkScalar(item);
  }
}

function checkScalar(value: unknown): void {
  if (typeof value === 'string') {
    if (!value.isWellFormed()) throw new TypeError('a text with a lone surrogate cannot be made canonical');
  } else if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new TypeError(`${value} cannot be made canonical`);
  } else if (typeof value !== 'boolean' && value !== null) {
    throw new TypeError(`a value of type ${typeof value} cannot be made canonical`);
  }
}

/**
 * What each kind of signature covers. A label stands before the signed bytes, so that a signature made for one
 * purpose can never be shown for another. A new format gets a new number.
 */
export const labels = {
  account: 'orb/account/1',
  allowance: 'orb/allowance/1',
  block: 'orb/block/1',
  callerToken: 'orb/caller-token/1',
  cosign: 'orb/cosign/1',
  descriptor: 'orb/descriptor/1',
  function: 'orb/function/1',
  genesis: 'orb/genesis/1',
  linkAccept: 'orb/link-accept/1',
  linkConfirm: 'orb/link-confirm/1',
  node: 'orb/node/1',
  operatorOrder: 'orb/operator-order/1',
  ordererChange: 'orb/orderer-change/1',
  presence: 'orb/presence/1',
  receipts: 'orb/receipts/1',
  replica: 'orb/replica/1',
  results: 'orb/results/1',
  secrets: 'orb/secrets/1',
  superNode: 'orb/super-node/1',
  tickets: 'orb/tickets/1',
  transaction: 'orb/transaction/1',
  transactionId: 'orb/transaction-id/1',
} as const;

/** One of {@link labels}. */
export type Label = (typeof labels)[keyof typeof labels];

/** The bytes that are hashed or signed for a labelled value: the label, a line feed, the canonical JSON. */
export function statement(label: Label, value: Json): Uint8Array {
  return utf8(`${label}\n${canonical(value)}`);
}
