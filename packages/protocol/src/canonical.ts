import canonicalize from 'canonicalize';
import { utf8 } from './bytes.ts';

/** What can be signed: plain JSON. Money and other large integers travel as decimal strings. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json | undefined };

/** The one byte form of a JSON value: RFC 8785 (JSON Canonicalization Scheme). Undefined members are left out. */
export function canonical(value: Json): string {
  const text = canonicalize(value);
  if (text === undefined) throw new TypeError('a value outside JSON cannot be made canonical');
  return text;
}

/**
 * What each kind of signature covers. A label stands before the signed bytes, so that a signature made for one
 * purpose can never be shown for another. A new format gets a new number.
 */
export const labels = {
  account: 'orb/account/1',
  allowance: 'orb/allowance/1',
  block: 'orb/block/1',
  cosign: 'orb/cosign/1',
  descriptor: 'orb/descriptor/1',
  function: 'orb/function/1',
  genesis: 'orb/genesis/1',
  linkAccept: 'orb/link-accept/1',
  linkConfirm: 'orb/link-confirm/1',
  node: 'orb/node/1',
  receipts: 'orb/receipts/1',
  results: 'orb/results/1',
  superNode: 'orb/super-node/1',
  tickets: 'orb/tickets/1',
  transaction: 'orb/transaction/1',
} as const;

export type Label = (typeof labels)[keyof typeof labels];

/** The bytes that are hashed or signed for a labelled value: the label, a line feed, the canonical JSON. */
export function statement(label: Label, value: Json): Uint8Array {
  return utf8(`${label}\n${canonical(value)}`);
}
