/** A bare event, as a queue sends it: called by Lambda's Invoke API, `orb call` or the SDK. Failed records are named, as SQS expects. */
import type { Context, SQSBatchResponse, SQSEvent } from 'aws-lambda';

export const handler = async (event: SQSEvent, context: Context): Promise<SQSBatchResponse> => {
  if (!Array.isArray(event?.Records)) throw new TypeError('This is not an event of a queue.');
  const results = await Promise.allSettled(event.Records.map((record) => work(record.body, context)));
  const failed = event.Records.filter((_, index) => results[index]!.status === 'rejected');
  return { batchItemFailures: failed.map(({ messageId }) => ({ itemIdentifier: messageId })) };
};

async function work(body: string, context: Context): Promise<void> {
  const order = JSON.parse(body) as { readonly id: number };
  console.log('order', order.id, 'with', context.getRemainingTimeInMillis() > 0 ? 'time left' : 'no time left');
  await Promise.resolve();
}
