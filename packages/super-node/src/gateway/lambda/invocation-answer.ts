import { utf8, type ErrorCode, type OrbError } from '@orb/protocol';
import type { WholeReply } from '../../streaming/take-whole.ts';

/** Lambda's names for what ends a function without an error of its own. */
const errorTypes: Partial<Record<ErrorCode, string>> = {
  'timed-out': 'Sandbox.Timedout',
  'out-of-memory': 'Runtime.OutOfMemory',
  'load-failed': 'Runtime.ImportModuleError',
  'bad-response': 'Runtime.MarshalError',
  'response-too-large': 'Function.ResponseSizeTooLarge',
};

/** The payload of an answered invocation: the result, or Lambda's description of the function's error. */
export function payloadOf({ failure, status, body }: WholeReply): Uint8Array {
  if (failure) return utf8(JSON.stringify(describeFailure(failure)));
  return status === 204 && body.byteLength === 0 ? utf8('null') : body;
}

/** True for what the function did, which Lambda answers with 200; everything else is the service's fault. */
export function isFunctionError(failure: OrbError | undefined): failure is OrbError {
  return failure?.faultOf === 'function';
}

function describeFailure(failure: OrbError) {
  const own = failure.details?.['errorType'];
  const errorType = errorTypes[failure.code] ?? (typeof own === 'string' ? own : 'Error');
  return { errorMessage: failure.message, errorType, trace: [] };
}

/** As with Lambda, the newest 4 KB of a call's log. */
const tailBytes = 4_096;

/** What Lambda writes about a call and what the function wrote, as it is sent: base64. @param written lines of this call */
export function logTail({ call, version, end, memoryMiB }: WholeReply, written: readonly string[]): string {
  const billedMs = Math.ceil(end.runUs / 1000);
  const report = [
    `REPORT RequestId: ${call}`,
    `Duration: ${(end.runUs / 1000).toFixed(2)} ms`,
    `Billed Duration: ${billedMs} ms`,
    `Memory Size: ${memoryMiB} MB`,
    ...(end.setupUs >= 1_000 ? [`Init Duration: ${(end.setupUs / 1000).toFixed(2)} ms`] : []),
  ];
  const lines = [`START RequestId: ${call} Version: ${version}`, ...written, `END RequestId: ${call}`, report.join('\t')];
  return Buffer.from(`${lines.join('\n')}\n`)
    .subarray(-tailBytes)
    .toString('base64');
}
