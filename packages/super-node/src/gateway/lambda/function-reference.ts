import { isAccountName, isFunctionName, OrbError } from '@orb/protocol';

/** A function as an AWS client names it. */
export interface FunctionReference {
  readonly owner: string;
  readonly name: string;
  /** A version's number or id; undefined: whichever takes calls. */
  readonly qualifier: string | undefined;
}

/**
 * Reads a FunctionName: `OWNER/NAME`, `OWNER:NAME`, or an ARN that ends in one of them
 * (`arn:aws:lambda:REGION:000000000000:function:OWNER/NAME`, or `orb:OWNER/NAME` as a handler's context has it), each with
 * `:VERSION` after it where a version is meant.
 * @param qualifier the query parameter of that name @throws OrbError `invalid-request`
 */
export function readFunctionReference(text: string, qualifier: string | undefined): FunctionReference {
  const plain = text.slice(0, 512).replace(/^(arn:[a-z-]+:lambda:[a-z0-9-]*:\d*:function:|orb:)/, '');
  const match = /^([a-z0-9-]+)[/:]([a-z0-9-]+)(?::([0-9a-f]{64}|\d{1,9}|\$LATEST))?$/.exec(plain);
  const [, owner = '', name = '', own] = match ?? [];
  if (!isAccountName(owner) || !isFunctionName(name))
    throw new OrbError('invalid-request', {
      message: `${JSON.stringify(text.slice(0, 128))} names no function.`,
      hint: 'FunctionName is OWNER/NAME, OWNER:NAME, or an ARN that ends in one of them.',
    });
  if (own !== undefined && qualifier !== undefined && own !== qualifier)
    throw new OrbError('invalid-request', { message: `The name asks for version ${own}, Qualifier for ${qualifier.slice(0, 64)}.` });
  const meant = own ?? qualifier;
  if (meant !== undefined && !/^([0-9a-f]{64}|\d{1,9}|\$LATEST)$/.test(meant))
    throw new OrbError('invalid-request', { message: 'Qualifier must be the number or id of a version, or $LATEST.' });
  return { owner, name, qualifier: meant === '$LATEST' ? undefined : meant };
}
