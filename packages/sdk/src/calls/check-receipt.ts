import { OrbError, requestHash, resultHash, type Hex32, type ReceiptCover } from '@orb/protocol';

/** What went out and what came back, as far as it is known here. */
export interface Exchange {
  readonly method: string;
  readonly path: string;
  /** SHA-256 of the first bytes that were sent; undefined where they are no longer known. */
  sentSha256(bytes: number): Hex32 | undefined;
  readonly status: number;
  /** SHA-256 of the body that came; undefined where it is not the body that the function gave. */
  readonly receivedSha256: Hex32 | undefined;
}

/** A receipt, and which of its two hashes was compared with the bytes here. */
export interface CheckedReceipt extends ReceiptCover {
  readonly checked: { readonly request: boolean; readonly result: boolean };
}

/**
 * Compares a receipt with what was sent and what came.
 * @throws OrbError `wrong-receipt` when it is about another request or another result
 */
export function checkReceipt(receipt: ReceiptCover, exchange: Exchange): CheckedReceipt {
  const { method, path, status, receivedSha256 } = exchange;
  const sent = exchange.sentSha256(receipt.bytesIn);
  if (sent !== undefined && requestHash(method, path, sent) !== receipt.request) throw wrong('request than the one that was sent');
  if (receivedSha256 !== undefined && resultHash(status, receivedSha256) !== receipt.result) throw wrong('result than the one that came');
  return { ...receipt, checked: { request: sent !== undefined, result: receivedSha256 !== undefined } };
}

function wrong(what: string): OrbError {
  return new OrbError('wrong-receipt', { message: `The receipt is about another ${what}.` });
}
