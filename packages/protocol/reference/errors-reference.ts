import { writeFileSync } from 'node:fs';
import { errorTable, type ErrorCode } from '../src/errors.ts';

/** Whose fault, in the words of the reference. */
const faults = {
  caller: 'who asked',
  function: 'the function',
  provider: 'the node',
  network: 'the network',
  platform: 'Orb’s own machinery',
} as const;

/** The text of docs/reference/errors.md. */
export function errorsReference(): string {
  const rows = (Object.keys(errorTable) as ErrorCode[]).map((code) => {
    const { status, faultOf, retryable, message, hint }: (typeof errorTable)[ErrorCode] & { hint?: string } = errorTable[code];
    return `| \`${code}\` | ${status} | ${faults[faultOf]} | ${retryable ? 'yes' : 'no'} | ${message}${hint === undefined ? '' : ` ${hint}`} |`;
  });
  return `# Errors

Every error that Orb gives has a stable code. Over HTTP it is \`{"error": {"code", "message", "hint"?, "faultOf", "retryable", "retryAfterMs"?, "details"?}}\`; \`message\` says what happened to which thing, \`hint\` what to do next. Read the code, not the words.

*Fault* says whose doing it is, and so who pays for what has run already. *Again* says whether the same request may succeed later without a change; \`retryAfterMs\` then says when, where it is known.

Made from the table in \`packages/protocol/src/errors.ts\` by \`node packages/protocol/reference/errors-reference.ts\`; do not edit.

| code | HTTP status | fault | again | what it says |
|---|---|---|---|---|
${rows.join('\n')}
`;
}

if (import.meta.main) writeFileSync(new URL('../../../docs/reference/errors.md', import.meta.url), errorsReference());
