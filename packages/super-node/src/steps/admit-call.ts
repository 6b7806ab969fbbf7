import { limits, OrbError } from '@orb/protocol';
import type { CallRequest } from '../call.ts';
import { isPrivate, pickVersion, type FunctionEntry, type KnownVersion } from '../registry/function-registry.ts';
import type { CallContext } from './call-context.ts';

/** A call that may run. */
export interface Admission {
  readonly entry: FunctionEntry;
  readonly version: KnownVersion;
}

/** Known, active, small enough, permitted, payable. @throws OrbError the first of these that does not hold */
export function admitCall(request: CallRequest, context: CallContext): Admission {
  if (context.stopping()) throw new OrbError('shutting-down', { retryAfterMs: 1_000 });
  if (context.settlement.lagging)
    throw new OrbError('overloaded', { message: 'Settlement lags behind: new calls must wait.', retryAfterMs: 2_000 });
  const entry = findFunction(request, context);
  checkSize(request);
  checkRight(request, entry);
  checkChain(request, entry);
  context.functionLimit?.take(entry.record.id);
  const version = request.version === undefined ? pickVersion(entry, Math.random()) : findVersion(entry, request.version);
  if (!version)
    throw new OrbError('no-node-fits', { message: `${entry.fullName} has no version that takes calls yet.`, retryAfterMs: 1_000 });
  return { entry, version };
}

function findFunction({ owner, name }: CallRequest, { functions }: CallContext): FunctionEntry {
  const entry = functions.find(owner, name);
  if (!entry) throw new OrbError('unknown-function', { message: `There is no function ${owner.slice(0, 64)}/${name.slice(0, 64)}.` });
  if (entry.record.state === 'decommissioned') throw new OrbError('gone', { message: `${entry.fullName} has been decommissioned.` });
  if (entry.record.state === 'stopped')
    throw new OrbError('gone', { message: `${entry.fullName} is stopped.`, hint: 'Its owner can start it: orb start NAME.' });
  return entry;
}

function checkSize({ body, path, method }: CallRequest): void {
  if (!/^[\x21-\x7e]*$/.test(path) || method.length > 16) {
    throw new OrbError('invalid-request', { message: 'The path must be printable ASCII: percent-encode everything else (RFC 3986).' });
  }
  if (body instanceof Uint8Array && body.byteLength > limits.bodyBytes) {
    throw new OrbError('too-large', { message: `The body has ${body.byteLength} bytes; the limit is ${limits.bodyBytes}.` });
  }
  if (path.length > limits.pathBytes) throw new OrbError('too-large', { message: `The path is longer than ${limits.pathBytes} bytes.` });
}

/** Functions that call each other, or themselves, come to an end. */
function checkChain({ origin }: CallRequest, { record, fullName }: FunctionEntry): void {
  if (!origin) return;
  if (origin.path.length >= limits.callDepth)
    throw new OrbError('call-limit', {
      message: `${fullName} would be function ${origin.path.length + 1} in one chain of calls; the limit is ${limits.callDepth}.`,
    });
  if (origin.path.filter((id) => id === record.id).length >= limits.callRepeats)
    throw new OrbError('call-limit', {
      message: `${fullName} stands ${limits.callRepeats} times in this chain of calls already: it calls itself in a circle.`,
    });
}

/** @throws OrbError `not-found` for a version that takes no calls */
function findVersion({ versions, fullName }: FunctionEntry, asked: string): KnownVersion {
  const found = versions.find(([{ id, number }]) => id === asked || String(number) === asked);
  if (!found) throw new OrbError('not-found', { message: `${fullName} has no version ${asked.slice(0, 64)} that takes calls.` });
  return found[0];
}

/** A private function answers its owner alone; the gateway has checked signature or token already. */
function checkRight({ identity, account }: CallRequest, entry: FunctionEntry): void {
  if (!isPrivate(entry) || account === entry.record.account) return;
  if (account !== undefined) throw new OrbError('forbidden', { message: `${entry.fullName} is private.` });
  if (!identity) throw new OrbError('unauthenticated', { message: `${entry.fullName} is private: sign the request.` });
  if (!entry.ownerKeys.has(identity.key)) throw new OrbError('forbidden', { message: `${entry.fullName} is private.` });
}
