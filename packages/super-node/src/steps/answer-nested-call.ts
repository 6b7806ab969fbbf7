import { limits, nestedCallSchema, OrbError, parseWith, type NestedCallRequest, type Cancelling } from '@orb/protocol';
import type { IncomingCall, OutgoingAnswer } from '@orb/link';
import type { CallRequest } from '../call.ts';
import { handleCall } from '../handle-call.ts';
import { takeWhole } from '../streaming/take-whole.ts';
import type { NodeSession } from '../registry/node-registry.ts';
import type { Calling } from '../relay/dispatches.ts';
import type { CallContext } from './call-context.ts';

/**
 * `ctx.call`: a function calls another. A call like any other, but for three things, all of them known here and none of
 * them said by the function or its node: its caller's owner pays, the chain of calls it is in has a bound, and it ends with
 * its caller.
 */
export async function answerNestedCall(call: IncomingCall, node: NodeSession, context: CallContext): Promise<OutgoingAnswer> {
  const asked = parseWith(nestedCallSchema, call.header, 'call');
  const calling = context.dispatches.takeCall(node.id, asked.job);
  checkFunction(asked, context);
  const body = call.body.complete ?? (await call.body.bytes(limits.callInputBytes));
  const withinMs = Math.min(asked.withinMs, calling.deadlineMs - context.nowMs());
  const abort = new AbortController();
  const late = setTimeout(() => abort.abort('late'), Math.max(1, withinMs));
  const over = () => abort.abort();
  const signals = [call.signal, calling.signal];
  for (const signal of signals) signal.addEventListener('abort', over, { once: true });
  try {
    if (signals.some(({ aborted }) => aborted)) throw new OrbError('cancelled');
    return await answer(readNested(asked, body, calling, abort, context), call, context);
  } catch (error) {
    if (abort.signal.reason !== 'late') throw error;
    throw new OrbError('timed-out', {
      message: `It did not answer within ${withinMs} ms, which is what its caller gave it.`,
      cause: error,
    });
  } finally {
    clearTimeout(late);
    for (const signal of signals) signal.removeEventListener('abort', over);
  }
}

/** A name may have got another function since the descriptor was made. */
function checkFunction({ owner, name, function: id }: NestedCallRequest, { functions }: CallContext): void {
  const found = functions.find(owner, name);
  if (id !== undefined && found && found.record.id !== id)
    throw new OrbError('unknown-function', { message: `${owner}/${name} is no longer the function that the descriptor names.` });
}

function readNested(
  { owner, name, version, contentType }: NestedCallRequest,
  body: Uint8Array,
  { payer, path }: Calling,
  abort: Cancelling,
  context: CallContext,
): CallRequest {
  return {
    owner,
    name,
    method: 'POST',
    path: '/',
    headers: contentType === undefined ? [] : [['content-type', contentType]],
    mode: 'event',
    body,
    identity: undefined,
    account: payer,
    origin: { payer, path },
    from: path.at(-1),
    version,
    readAtUs: context.nowUs(),
    abort,
  };
}

async function answer(request: CallRequest, call: IncomingCall, context: CallContext): Promise<OutgoingAnswer> {
  const reply = await takeWhole(await handleCall(request, context));
  const { failure, status, headers, body } = reply;
  if (failure) {
    reply.acknowledge(!call.signal.aborted);
    throw failure;
  }
  if (body.byteLength > limits.callOutputBytes) {
    reply.acknowledge(true);
    throw new OrbError('response-too-large', {
      message: `It returned ${body.byteLength} bytes; to another function the limit is ${limits.callOutputBytes}.`,
    });
  }
  let told = false;
  const acknowledge = (received: boolean) => {
    if (!told) reply.acknowledge(received);
    told = true;
  };
  call.signal.addEventListener('abort', () => acknowledge(false), { once: true });
  // Asked for when the last byte has been taken.
  return { header: { status, headers }, body, trailer: () => (acknowledge(true), {}) };
}
