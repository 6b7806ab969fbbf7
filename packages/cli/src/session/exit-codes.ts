import type { ErrorCode } from '@orb/protocol';

/** Exit codes of `orb`, by name: the number and when it is used. The reference is `docs/reference/cli.md`. */
export const exitCodes = {
  ok: { code: 0, when: 'Everything worked.' },
  failed: { code: 1, when: 'Something went wrong that no other code names.' },
  usage: { code: 2, when: 'The command line or something it names is not valid.' },
  identity: { code: 3, when: 'A key or passphrase is missing or wrong, or the account may not do that.' },
  money: { code: 4, when: 'Not enough money: balance, allowance or budget.' },
  absent: { code: 5, when: 'No such account, function, job or other thing.' },
  conflict: { code: 6, when: 'The name is taken, or something changed in the meantime.' },
  source: { code: 7, when: 'The function’s source cannot be bundled.' },
  large: { code: 8, when: 'Code, input or output is larger than the limit.' },
  function: { code: 9, when: 'The function failed: it threw, ran out of time or memory, or returned what cannot be sent.' },
  capacity: { code: 10, when: 'No node fits, or none would seed.' },
  network: { code: 11, when: 'The super node cannot be reached, or cannot serve now. Trying again may help.' },
  ledger: { code: 12, when: 'The ledger is wrong: damaged, or of another network than expected.' },
  interrupted: { code: 130, when: 'Stopped by Ctrl-C.' },
} as const;

type ExitName = keyof typeof exitCodes;

/** Which exit stands for which error. The type makes every new error code choose. */
const exitOf: Readonly<Record<ErrorCode, ExitName>> = {
  'invalid-request': 'usage',
  'invalid-amount': 'usage',
  'invalid-manifest': 'usage',
  'not-supported': 'usage',
  'no-upgrade': 'usage',
  'bad-source': 'source',
  'code-mismatch': 'source',
  unauthenticated: 'identity',
  forbidden: 'identity',
  'bad-signature': 'identity',
  'key-store': 'identity',
  'link-refused': 'identity',
  'payment-required': 'money',
  'insufficient-funds': 'money',
  'allowance-exceeded': 'money',
  'allowance-expired': 'money',
  'cost-exceeded': 'money',
  'not-found': 'absent',
  'unknown-function': 'absent',
  'unknown-account': 'absent',
  gone: 'absent',
  'name-taken': 'conflict',
  conflict: 'conflict',
  'idempotency-conflict': 'conflict',
  'bad-sequence': 'conflict',
  'already-settled': 'conflict',
  'too-large': 'large',
  'call-limit': 'function',
  'function-failed': 'function',
  'bad-response': 'function',
  'response-too-large': 'function',
  'out-of-memory': 'function',
  'load-failed': 'function',
  'timed-out': 'function',
  'no-node-fits': 'capacity',
  overloaded: 'capacity',
  'node-lost': 'capacity',
  'node-failed': 'capacity',
  'node-refused': 'capacity',
  'rate-limited': 'network',
  'shutting-down': 'network',
  'link-closed': 'network',
  'protocol-violation': 'network',
  'ledger-unavailable': 'network',
  'wrong-chain': 'ledger',
  'ledger-corrupt': 'ledger',
  cancelled: 'interrupted',
  'sandbox-failed': 'failed',
  'store-full': 'failed',
  internal: 'failed',
};

export function exitCodeOf(code: ErrorCode): number {
  return exitCodes[exitOf[code]].code;
}
