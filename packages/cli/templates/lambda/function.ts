import type { LambdaHandler } from '@orb/types';

/** As AWS Lambda calls it: over HTTP with an API Gateway event (payload 2.0), from `orb call` with the event itself. */
export const handler: LambdaHandler = async (event, context) => {
  const name = event.queryStringParameters?.['name'] ?? 'stranger';
  console.log('greeting', name, 'with', context.getRemainingTimeInMillis(), 'ms left');
  return {
    statusCode: 200,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ message: `Hello, ${name}!` }),
  };
};
