import type { Link } from '@orb/link';
import { limits, OrbError, parseWith, runAnswerSchema, type JobId, type NestedCallRequest } from '@orb/protocol';
import type { NestedAnswer, NestedCall } from '@orb/sandbox';

/** Has the super node that gave the job call another function for it. @throws OrbError what the super node says, `invalid-request` */
export async function callFunction(link: Link, job: JobId, nested: NestedCall): Promise<NestedAnswer> {
  const { target, function: id, version, contentType, withinMs, body, signal } = nested;
  const [owner = '', name = ''] = target.split('/', 2);
  if (owner.length > limits.accountNameChars || name.length > limits.functionNameChars)
    throw new OrbError('invalid-request', { message: 'A function is called by OWNER/NAME.' });
  const request: NestedCallRequest = {
    job,
    owner,
    name,
    withinMs,
    ...(id !== undefined && { function: id }),
    ...(version !== undefined && { version }),
    ...(contentType !== undefined && { contentType }),
  };
  const answer = await link.call('call', request, body, { signal });
  const head = parseWith(runAnswerSchema, answer.header, 'answer', 'protocol-violation');
  return { ...head, body: answer.body.complete ?? (await answer.body.bytes(limits.bodyBytes)) };
}
