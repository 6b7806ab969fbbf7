import { OrbError, isAccountName, isFunctionName } from '@orb/protocol';

export interface FunctionPath {
  readonly owner: string;
  readonly name: string;
  /** Path and query below the function; empty or starts with `/` or `?`. */
  readonly rest: string;
}

/** `alice/hello`, `alice/hello/orders/7?full=1` → its parts. @throws OrbError `invalid-request` */
export function parseFunctionPath(text: string): FunctionPath {
  const [, owner = '', name = '', rest = ''] = /^\/?([^/?#]+)\/([^/?#]+)([/?][^#]*)?$/.exec(text) ?? [];
  if (!isAccountName(owner) || !isFunctionName(name)) {
    throw new OrbError('invalid-request', {
      message: `${JSON.stringify(text.slice(0, 200))} does not name a function.`,
      hint: 'Write OWNER/NAME, such as alice/hello.',
    });
  }
  return { owner, name, rest };
}
