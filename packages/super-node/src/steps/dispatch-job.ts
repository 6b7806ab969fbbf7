import { asOrbError, isStreamed, limits, parseRunAnswer, parseRunTrailer, sha256, type RunAnswer, type RunRequest } from '@orb/protocol';
import { JsonText } from '@orb/link';
import type { CallRequest } from '../call.ts';
import type { CallContext } from './call-context.ts';
import { callerOf } from './caller-of.ts';
import { endWithAnswer, endWithoutAnswer, type Answered, type NotAnswered, type Outgoing } from './end-job.ts';
import type { Ticketed } from './issue-ticket.ts';
import { ResponseRelay } from './relay-response.ts';

/** How an attempt went: with a whole answer and a receipt, with an answer that has begun to stream, or without. */
export type Dispatched = AnsweredWhole | Streaming | NotAnswered;

export interface AnsweredWhole extends Answered {
  readonly body: Uint8Array;
}

/** The head of an answer is here; its body is relayed as it comes. */
export interface Streaming extends Outgoing {
  readonly ended: 'streaming';
  readonly head: RunAnswer;
  readonly relay: ResponseRelay;
}

/** How much longer than the function's own limit a node may take, for set-up and the way, before it counts as lost. */
const answerMarginMs = 15_000;

/** Sends the job to its node and collects the answer, or its head. Never throws: how it went is in the result. */
export async function dispatchJob(request: CallRequest, context: CallContext, ticketed: Ticketed): Promise<Dispatched> {
  const { node, job } = ticketed;
  const dispatch = context.dispatches.begin(ticketed, request, ticketed.admission.version.manifest.timeoutMs + answerMarginMs);
  const out: Outgoing = { request, context, ticketed, dispatch, sentAtUs: context.nowUs() };
  try {
    const answering = node.link.call('run', runRequest(request, ticketed, context), request.body, { signal: request.abort.signal });
    // After the call: a full batch is signed at once, and its root must not overtake the last ticket it covers.
    context.ticketRoots.add(node, job.ticketText);
    const answer = await answering;
    const head = parseRunAnswer(answer.header);
    if (isStreamed(head)) {
      dispatch.streaming = true;
      return { ended: 'streaming', ...out, head, relay: new ResponseRelay(out, answer, head) };
    }
    const body = answer.body.complete ?? (await answer.body.bytes(limits.bodyBytes));
    const trailer = parseRunTrailer(answer.completeTrailer ?? (await answer.trailer));
    return { ...endWithAnswer(out, head, sha256(body), trailer), body };
  } catch (cause) {
    return endWithoutAnswer(out, asOrbError(cause));
  } finally {
    if (!dispatch.streaming) context.dispatches.end(job);
  }
}

/** The `RunRequest` as JSON: its ticket is text already. */
function runRequest(request: CallRequest, { job }: Ticketed, { functions }: CallContext): JsonText {
  const { method, path, mode, headers } = request;
  const rest: Omit<RunRequest, 'ticket' | 'headers'> & Pick<CallRequest, 'headers'> = {
    method,
    path,
    mode,
    headers,
    caller: callerOf(request, functions),
  };
  return new JsonText(`{"ticket":${job.ticketText},${JSON.stringify(rest).slice(1)}`);
}
