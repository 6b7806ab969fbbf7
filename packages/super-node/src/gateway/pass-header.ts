import { connectionHeaders } from '@orb/protocol';
import { belowFunction } from './below-function.ts';

/** What a function may not say for the whole host that it shares with others. */
const notReturned: ReadonlySet<string> = new Set([
  ...connectionHeaders,
  'content-length',
  'alt-svc',
  'clear-site-data',
  'service-worker-allowed',
  'strict-transport-security',
  'orb-call',
  'orb-job',
  'orb-node',
  'orb-attempt',
  'orb-receipt',
  'server-timing',
]);

/** A header of a function's answer as its caller gets it; undefined for one that is not the function's to say. @param name in lower case */
export function passHeader(name: string, value: string, owner: string, functionName: string): string | undefined {
  if (notReturned.has(name)) return undefined;
  return name === 'location' || name === 'set-cookie' ? belowFunction(name, value, `/fn/${owner}/${functionName}`) : value;
}
