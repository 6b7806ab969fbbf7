import { createHmac, timingSafeEqual } from 'node:crypto';
import { limits, OrbError, sha256 } from '@orb/protocol';

/** A request as it arrived. */
export interface AwsRequest {
  readonly method: string;
  /** Path and query, raw. */
  readonly target: string;
  /** Names and values in turn, as Node gives them. */
  readonly rawHeaders: readonly string[];
  readonly body: Uint8Array;
}

export interface SigV4Options {
  /** The service that the credential scope must name. */
  readonly service: string;
  readonly nowMs: number;
  /** The secret of an access key; undefined for one that is not known. */
  secretOf(accessKeyId: string): string | undefined;
}

interface Authorization {
  readonly accessKeyId: string;
  readonly date: string;
  readonly region: string;
  readonly service: string;
  readonly signedHeaders: readonly string[];
  readonly signature: string;
}

const algorithm = 'AWS4-HMAC-SHA256';
/** So that an unknown key takes as long as a wrong signature. */
const nobody = 'nobody has this secret';

/**
 * Checks AWS Signature Version 4 in the Authorization header, strictly: the body's hash, host, date and every x-amz-
 * header must be signed. As with AWS, a request is good for five minutes and may be repeated in them: the scheme has no
 * nonce. Signed URLs, session tokens and unsigned or chunked bodies are refused.
 * @returns the access key id @throws OrbError `unauthenticated` with AWS's name for the fault in `details.awsType`
 */
export function checkSigV4(request: AwsRequest, { service, nowMs, secretOf }: SigV4Options): string {
  const headers = collectHeaders(request.rawHeaders);
  const given = parseAuthorization(headers.get('authorization'), request.target);
  if (given.service !== service)
    throw refuse('SignatureDoesNotMatch', `The credential scope must name the service ${service}, not ${given.service}.`);
  const amzDate = checkDate(headers, given, nowMs);
  checkCoverage(headers, given);
  const bodyHash = checkBody(headers, request.body);
  const canonical = [
    request.method,
    ...canonicalTarget(request.target),
    ...given.signedHeaders.map((name) => `${name}:${headers.get(name) ?? ''}`),
    '',
    given.signedHeaders.join(';'),
    bodyHash,
  ].join('\n');
  const scope = `${given.date}/${given.region}/${given.service}/aws4_request`;
  const text = [algorithm, amzDate, scope, sha256(canonical)].join('\n');
  const secret = secretOf(given.accessKeyId);
  const right = hmac(signingKey(secret ?? nobody, given), text);
  const same = timingSafeEqual(right, Buffer.from(given.signature, 'hex'));
  if (secret === undefined) throw refuse('UnrecognizedClientException', 'The access key is not known here, has expired or was revoked.');
  if (!same) throw refuse('InvalidSignatureException', 'The signature is not the one that the secret access key makes of this request.');
  return given.accessKeyId;
}

function parseAuthorization(value: string | undefined, target: string): Authorization {
  if (value === undefined) {
    const words = /[?&]X-Amz-Signature=/i.test(target) ? 'Signed URLs are not taken: sign the headers.' : 'The request is not signed.';
    throw refuse('MissingAuthenticationTokenException', words);
  }
  const match =
    /^AWS4-HMAC-SHA256 +Credential=(\w{16,128})\/(\d{8})\/([a-z0-9-]{1,32})\/([a-z0-9-]{1,32})\/aws4_request, *SignedHeaders=([a-z0-9-]+(?:;[a-z0-9-]+){0,99}), *Signature=([0-9a-f]{64})$/.exec(
      value.slice(0, 8_192),
    );
  if (!match) throw refuse('IncompleteSignatureException', `The Authorization header is not one of ${algorithm}.`);
  const [, accessKeyId, date, region, service, names, signature] = match as unknown as string[];
  const signedHeaders = names!.split(';');
  const inOrder = signedHeaders.every((name, index) => index === 0 || signedHeaders[index - 1]! < name);
  if (!inOrder) throw refuse('IncompleteSignatureException', 'SignedHeaders must be sorted and name nothing twice.');
  return { accessKeyId: accessKeyId!, date: date!, region: region!, service: service!, signedHeaders, signature: signature! };
}

function checkDate(headers: ReadonlyMap<string, string>, { date }: Authorization, nowMs: number): string {
  const text = headers.get('x-amz-date') ?? '';
  const match = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(text);
  const [, year, month, day, hour, minute, second] = match ?? [];
  const signedMs = match ? Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`) : Number.NaN;
  if (!text.startsWith(date) || Number.isNaN(signedMs))
    throw refuse('IncompleteSignatureException', 'X-Amz-Date must be a basic ISO 8601 time of the credential’s day.');
  if (Math.abs(signedMs - nowMs) > limits.sigV4SkewMs)
    throw refuse('InvalidSignatureException', `Signature expired: ${text} is more than ${limits.sigV4SkewMs / 60_000} minutes from now.`);
  return text;
}

/** What decides about the call must be signed. */
function checkCoverage(headers: ReadonlyMap<string, string>, { signedHeaders }: Authorization): void {
  const signed = new Set(signedHeaders);
  const needed = ['host', ...[...headers.keys()].filter((name) => name.startsWith('x-amz-'))];
  const missing = needed.filter((name) => !signed.has(name));
  if (missing.length > 0) throw refuse('InvalidSignatureException', `These headers must be signed: ${missing.slice(0, 5).join(', ')}.`);
  if (headers.has('x-amz-security-token'))
    throw refuse('UnrecognizedClientException', 'Tokens of Orb have no session token: leave it out.');
}

function checkBody(headers: ReadonlyMap<string, string>, body: Uint8Array): string {
  const hash = sha256(body);
  const stated = headers.get('x-amz-content-sha256');
  if (stated !== undefined && stated !== hash)
    throw refuse('InvalidSignatureException', 'X-Amz-Content-Sha256 is not the hash of the body.');
  return hash;
}

/** By lower-case name; repeated ones joined, runs of spaces one space. */
function collectHeaders(rawHeaders: readonly string[]): Map<string, string> {
  const headers = new Map<string, string>();
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!.toLowerCase();
    const value = rawHeaders[i + 1]!.trim().replaceAll(/ +/g, ' ');
    const before = headers.get(name);
    // Two of these would leave open which one counts.
    if (before !== undefined && ['authorization', 'host', 'x-amz-date'].includes(name))
      throw refuse('IncompleteSignatureException', `There are two ${name} headers.`);
    headers.set(name, before === undefined ? value : `${before},${value}`);
  }
  return headers;
}

/** Canonical path and query. A path is encoded once more than it is sent; one that would have to be normalised first is refused. */
function canonicalTarget(target: string): [string, string] {
  const at = target.indexOf('?');
  const path = at === -1 ? target : target.slice(0, at);
  if (/\/\/|\/\.\.?(\/|$)/.test(path)) throw refuse('SignatureDoesNotMatch', 'The path must be in its plain form.');
  const query = at === -1 ? '' : target.slice(at + 1);
  return [path.split('/').map(encode).join('/'), canonicalQuery(query)];
}

function canonicalQuery(query: string): string {
  if (query === '') return '';
  const pairs = query.split('&').map((pair) => {
    const at = pair.indexOf('=');
    const [name, value] = at === -1 ? [pair, ''] : [pair.slice(0, at), pair.slice(at + 1)];
    return [encode(decode(name)), encode(decode(value))] as const;
  });
  const sorted = pairs.sort(([a, x], [b, y]) => (a === b ? compare(x, y) : compare(a, b)));
  return sorted.map(([name, value]) => `${name}=${value}`).join('&');
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw refuse('SignatureDoesNotMatch', 'The query is not percent-encoded UTF-8.');
  }
}

/** RFC 3986: everything but unreserved characters. */
function encode(text: string): string {
  return encodeURIComponent(text).replaceAll(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}

function signingKey(secret: string, { date, region, service }: Authorization): Buffer {
  return [date, region, service, 'aws4_request'].reduce<string | Buffer>(hmac, `AWS4${secret}`) as Buffer;
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

function refuse(awsType: string, message: string): OrbError {
  return new OrbError('unauthenticated', {
    message,
    hint: 'Sign with an access key made by orb token create, and check your clock.',
    details: { awsType },
  });
}
