import {
  asOrbError,
  isStreamed,
  limits,
  parseWith,
  runAnswerSchema,
  runTrailerSchema,
  sha256,
  ticketRow,
  ticketText,
  type RunAnswer,
  type RunRequest,
} from '@orb/protocol';
import type { LinkAnswer } from '@orb/link';
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
    const run = runRequest(request, ticketed, context);
    const answering = node.link.call('run', run, request.body, { signal: request.abort.signal });
    // After the call: a full batch is signed at once, and its root must not overtake the last ticket it covers.
    context.ticketRoots.add(node, ticketText(run.ticket));
    const answer = await answering;
    const head = parseWith(runAnswerSchema, answer.header, 'answer', 'protocol-violation');
    if (isStreamed(head)) {
      dispatch.streaming = true;
      return { ended: 'streaming', ...out, head, relay: new ResponseRelay(out, answer, head) };
    }
    return await collectWhole(out, head, answer);
  } catch (cause) {
    return endWithoutAnswer(out, asOrbError(cause));
  } finally {
    if (!dispatch.streaming) context.dispatches.end(job.id);
  }
}

function runRequest(request: CallRequest, { job }: Ticketed, { functions }: CallContext): RunRequest {
  const { method, path, mode, headers } = request;
  const caller = callerOf(request, functions);
  return { ticket: ticketRow(job.ticket), method, path, mode, headers: headers as [string, string][], ...(caller && { caller }) };
}

async function collectWhole(out: Outgoing, head: RunAnswer, answer: LinkAnswer): Promise<AnsweredWhole> {
  const body = answer.body.complete ?? (await answer.body.bytes(limits.bodyBytes));
  const trailer = parseWith(runTrailerSchema, answer.completeTrailer ?? (await answer.trailer), 'trailer', 'protocol-violation');
  return { ...endWithAnswer(out, head, sha256(body), trailer), body };
}
