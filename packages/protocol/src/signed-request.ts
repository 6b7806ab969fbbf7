import { randomBytes, sha256Bytes, verify, type Hex32, type Signer } from '#crypto';
import { fromHex, toHex, utf8 } from './bytes.ts';
import { OrbError } from './errors.ts';
import type { ChainId } from './ids.ts';
import { limits } from './limits.ts';

/*
 * Signed requests: one strict profile of HTTP Message Signatures (RFC 9421) with Content-Digest (RFC 9530).
 * `@method` is in upper case. Covered components, in this order: "@method", "@authority", "@path", "@query", "content-digest". Parameters, in this
 * order: created, nonce, keyid, alg, tag. `tag` is `orb:` and the chain id, so a request for one network is nothing on
 * another. The receiver refuses creation times more than limits.signedRequestSkewMs away from its clock and remembers
 * nonces for twice as long.
 */
const components = '("@method" "@authority" "@path" "@query" "content-digest")';
const signatureName = 'orb';

/** A request as far as it is signed. */
export interface SignableRequest {
  readonly method: string;
  /** Absolute URL of the request. */
  readonly url: string;
  readonly body: Uint8Array;
}

/** The headers that carry a signature. */
export interface SignedRequestHeaders {
  readonly 'content-digest': string;
  readonly 'signature-input': string;
  readonly signature: string;
}

/** What a valid signature says. */
export interface RequestIdentity {
  readonly key: Hex32;
  readonly nonce: string;
  readonly createdMs: number;
}

/** Headers that sign a request with an account's or a token's key. */
export function signRequest(
  request: SignableRequest,
  chain: ChainId,
  signer: Signer,
  nowMs: number,
  nonce = toHex(randomBytes(16)),
): SignedRequestHeaders {
  const digest = contentDigest(request.body);
  const parameters = `${components};created=${Math.floor(nowMs / 1000)};nonce="${nonce}";keyid="${signer.publicKey}";alg="ed25519";tag="orb:${chain}"`;
  const signature = signer.sign(signatureBase(request, digest, parameters));
  return {
    'content-digest': digest,
    'signature-input': `${signatureName}=${parameters}`,
    signature: `${signatureName}=:${toBase64(fromHex(signature))}:`,
  };
}

/**
 * Checks a signed request. The caller then looks the key up, and refuses a nonce it has seen from this key.
 * @param request as it arrived, its URL made of the receiver's own public address and the raw path: with the Host header
 *   instead, a request signed for another super node would pass
 * @param headers by lower-case name
 * @throws OrbError `unauthenticated` naming what is missing or wrong
 */
export function checkSignedRequest(
  request: SignableRequest,
  headers: Readonly<Record<string, string | undefined>>,
  chain: ChainId,
  nowMs: number,
): RequestIdentity {
  const refuse = (message: string, hint?: string) => new OrbError('unauthenticated', { message, ...(hint !== undefined && { hint }) });
  const input = headers['signature-input'];
  const given = headers['signature'];
  if (!input || !given) throw refuse('The request is not signed.');
  if (!isPlainTarget(request))
    throw refuse(
      'The request’s method or path is not in its plain form, so what is signed might not be what is meant.',
      'Send the path as URL() writes it.',
    );
  const match =
    /^orb=(\([^()]{0,256}\);created=(\d{1,12});nonce="([0-9a-f]{32})";keyid="([0-9a-f]{64})";alg="ed25519";tag="orb:([0-9a-f]{64})")$/.exec(
      input,
    );
  const signature = /^orb=:([A-Za-z0-9+/]{86}==):$/.exec(given)?.[1];
  if (!match || signature === undefined) throw refuse('The Signature or Signature-Input header has another form than Orb’s.');
  const [, parameters, created, nonce, key, signedChain] = match as unknown as [string, string, string, string, Hex32, string];
  if (!parameters.startsWith(`${components};`)) throw refuse(`The signature must cover ${components}.`);
  if (signedChain !== chain) throw refuse('The request was signed for another network.');
  const createdMs = Number(created) * 1000;
  if (Math.abs(createdMs - nowMs) > limits.signedRequestSkewMs) {
    throw refuse(`The request was signed more than ${limits.signedRequestSkewMs / 1000} seconds from now.`, 'Check your clock.');
  }
  const digest = contentDigest(request.body);
  if (headers['content-digest'] !== digest) throw refuse('Content-Digest does not match the body.');
  if (!verify(key, signatureBase(request, digest, parameters), toHex(fromBase64(signature)))) throw refuse('The signature is wrong.');
  return { key, nonce, createdMs };
}

/** True when the URL's path and query are exactly what gets signed: no dot segments, escapes or fragments to resolve. */
function isPlainTarget({ method, url }: SignableRequest): boolean {
  if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}$/.test(method) || !URL.canParse(url)) return false;
  const { pathname, search, username, password } = new URL(url);
  const target = /^https?:\/\/[^/?#]*([^]*)$/.exec(url)?.[1] ?? '';
  return username === '' && password === '' && (target || '/') === pathname + search;
}

function contentDigest(body: Uint8Array): string {
  return `sha-256=:${toBase64(sha256Bytes(body))}:`;
}

function signatureBase({ method, url }: SignableRequest, digest: string, parameters: string): Uint8Array {
  const { host, pathname, search } = new URL(url);
  const lines = [
    `"@method": ${method.toUpperCase()}`,
    `"@authority": ${host}`,
    `"@path": ${pathname}`,
    `"@query": ${search || '?'}`,
    `"content-digest": ${digest}`,
    `"@signature-params": ${parameters}`,
  ];
  return utf8(lines.join('\n'));
}

function toBase64(bytes: Uint8Array): string {
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''));
}

function fromBase64(text: string): Uint8Array {
  return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
}
