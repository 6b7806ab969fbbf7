import { JsonText } from '@orb/link';
import { limits } from '@orb/protocol';
import type { InvocationUsage } from '@orb/sandbox';
import type { ReceiptPlace } from '../receipts/receipt-book.ts';

/** What ends an answer, a `RunTrailer`. @param receipt the receipt's row as JSON, already written for the journal */
export function makeTrailer(receipt: string, { batch, index }: ReceiptPlace, { error, errorType }: InvocationUsage): JsonText {
  let text = `{"receipt":${receipt},"batch":${batch},"index":${index}`;
  if (error !== undefined) text += `,"error":${JSON.stringify(error.slice(0, limits.errorMessageChars))}`;
  if (errorType !== undefined) text += `,"errorType":${JSON.stringify(errorType)}`;
  return new JsonText(`${text}}`);
}
