import {
  OrbError,
  requestHash,
  sha256,
  streamedRequestHash,
  type CallId,
  type ForwardAnswer,
  type Hex32,
  type Receipt,
  type Ticket,
} from '@orb/protocol';
import type { CallRequest } from '../call.ts';
import type { PeerSession } from '../peers/peer-registry.ts';
import type { Admission } from './admit-call.ts';
import type { CallContext } from './call-context.ts';

/** A call that another super node runs. */
export interface Forwarded {
  readonly request: CallRequest;
  readonly context: CallContext;
  readonly admission: Admission;
  readonly peer: PeerSession;
  readonly call: CallId;
}

/** The head of its answer. */
export type AnswerHead = Extract<ForwardAnswer, { ended: 'answered' }>;

/** @throws OrbError `protocol-violation` unless the ticket is about this very call */
export function checkTicket({ request: { method, path, body }, admission: { entry, version }, call }: Forwarded, ticket: Ticket): void {
  const asked = body instanceof Uint8Array ? requestHash(method, path, sha256(body)) : streamedRequestHash(method, path);
  refuse(
    (ticket.call !== call && 'another call') ||
      (ticket.function !== entry.record.id && 'another function') ||
      (ticket.version !== version.id && 'another version') ||
      (ticket.requestHash !== asked && 'another request'),
  );
}

/** @throws OrbError `protocol-violation` unless ticket and receipt are about this very call and this very answer. @param got hash of the answer */
export function checkForwarded(forwarded: Forwarded, ticket: Ticket, receipt: Receipt, got: Hex32): void {
  checkTicket(forwarded, ticket);
  refuse((!coversRequest(forwarded.request, ticket, receipt) && 'another request') || (receipt.resultHash !== got && 'another result'));
}

/** Of a request that streams, the receipt covers as much as it says was read. */
function coversRequest({ method, path, body }: CallRequest, ticket: Ticket, receipt: Receipt): boolean {
  if (body instanceof Uint8Array) return receipt.requestHash === '' || receipt.requestHash === ticket.requestHash;
  const read = body.sha256(receipt.bytesIn);
  return read !== undefined && receipt.requestHash === requestHash(method, path, read);
}

function refuse(wrong: string | false): void {
  if (wrong) throw new OrbError('protocol-violation', { message: `The other super node shows a job of ${wrong}.` });
}

/** Notes what went wrong with a forwarded call, leaves a host alone that has lied, and says it in the caller's words. */
export function blameHost(cause: OrbError, { context, admission, peer }: Pick<Forwarded, 'context' | 'admission' | 'peer'>): OrbError {
  const { fullName } = admission.entry;
  context.log.warn('a forwarded call was lost', { host: peer.id, function: fullName, code: cause.code, message: cause.message });
  const isLiar = cause.code === 'protocol-violation';
  // An honest host gives its own node up long before, and says so.
  if (isLiar || cause.code === 'timed-out') context.peers.distrust(peer.id);
  if (isLiar) void peer.link.close(cause);
  return new OrbError('node-lost', { message: `The super node that ran ${fullName} was lost.`, retryAfterMs: 1_000, cause });
}
