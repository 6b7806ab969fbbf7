import type { OrbError } from '@orb/protocol';
import { describe, expect, test } from 'vitest';
import { checkSigV4, type AwsRequest } from './check-sigv4.ts';

/** The key of AWS's published test suite for Signature Version 4; every document of AWS has it. */
const accessKeyId = ['AKID', 'EXAMPLE'].join('').padEnd(16, '0');
const published = ['wJalrXUtnFEMI', 'K7MDENG+bPxRfiCYEXAMPLEKEY'].join('/');
const nowMs = Date.UTC(2015, 7, 30, 12, 36, 0);
const date = '20150830T123600Z';

interface Case {
  readonly method?: string;
  readonly target?: string;
  readonly headers?: readonly string[];
  readonly body?: string;
  readonly signedHeaders?: string;
  readonly signature: string;
}

function request({
  method = 'GET',
  target = '/',
  headers = [],
  body = '',
  signedHeaders = 'host;x-amz-date',
  signature,
}: Case): AwsRequest {
  const authorization = `AWS4-HMAC-SHA256 Credential=${accessKeyId}/20150830/us-east-1/service/aws4_request, SignedHeaders=${signedHeaders}, Signature=${signature}`;
  const rawHeaders = ['Host', 'example.amazonaws.com', ...headers, 'X-Amz-Date', date, 'Authorization', authorization];
  return { method, target, rawHeaders, body: Buffer.from(body) };
}

function check(made: AwsRequest, options: { nowMs?: number; secret?: string | undefined } = {}): string {
  const secret = 'secret' in options ? options.secret : published;
  const result = () =>
    checkSigV4(made, { service: 'service', nowMs: options.nowMs ?? nowMs, secretOf: (id) => (id === accessKeyId ? secret : undefined) });
  try {
    return result();
  } catch (error) {
    return `${String((error as OrbError).details?.['awsType'])}: ${(error as OrbError).message}`;
  }
}

const vanilla = '5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31';

describe('the signatures of AWS’s published test suite', () => {
  const cases: Record<string, Case> = {
    'get-vanilla': { signature: vanilla },
    'get-vanilla-query-order-key-case': {
      target: '/?Param2=value2&Param1=value1',
      signature: 'b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500',
    },
    'post-vanilla': { method: 'POST', signature: '5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b' },
    'post-x-www-form-urlencoded': {
      method: 'POST',
      headers: ['Content-Type', 'application/x-www-form-urlencoded'],
      signedHeaders: 'content-type;host;x-amz-date',
      body: 'Param1=value1',
      signature: 'ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a',
    },
  };
  test.each(Object.entries(cases))('%s', (_name, one) => {
    expect(check(request(one))).toBe(accessKeyId);
  });
});

describe('a request is refused', () => {
  const good = request({ signature: vanilla });

  test('when anything that is signed is changed', () => {
    const wrong = /^InvalidSignatureException: The signature/;
    expect(check({ ...good, method: 'POST' })).toMatch(wrong);
    expect(check({ ...good, target: '/x' })).toMatch(wrong);
    expect(check({ ...good, target: '/?a' })).toMatch(wrong);
    expect(check({ ...good, body: Buffer.from('x') })).toMatch(wrong);
    expect(check({ ...good, rawHeaders: good.rawHeaders.with(1, 'other.example') })).toMatch(wrong);
    expect(check({ ...good, rawHeaders: good.rawHeaders.with(3, '20150830T123601Z') })).toMatch(wrong);
    expect(check(request({ signature: vanilla.replace('5', '6') }))).toMatch(wrong);
    expect(check(good, { secret: `${published}x` })).toMatch(wrong);
  });

  test('when its key is not known', () => {
    expect(check(good, { secret: undefined })).toMatch(/^UnrecognizedClientException/);
  });

  test('when it is more than five minutes old, or from the future', () => {
    expect(check(good, { nowMs: nowMs + 300_000 })).toBe(accessKeyId);
    for (const away of [300_001, -300_001])
      expect(check(good, { nowMs: nowMs + away })).toMatch(/^InvalidSignatureException: Signature expired/);
  });

  test('when something that decides about the call is not signed', () => {
    const rawHeaders = [...good.rawHeaders, 'x-amz-invocation-type', 'DryRun'];
    expect(check({ ...good, rawHeaders })).toMatch(/must be signed: x-amz-invocation-type/);
    expect(check(request({ signature: vanilla, signedHeaders: 'x-amz-date' }))).toMatch(/must be signed: host/);
  });

  test('when a header that counts comes twice, or the path has to be guessed at', () => {
    for (const name of ['Host', 'X-Amz-Date', 'Authorization']) {
      expect(check({ ...good, rawHeaders: [...good.rawHeaders, name, 'again'] })).toMatch(/^IncompleteSignatureException: There are two/);
    }
    for (const target of ['/a/../b', '//a', '/./a', '/a/..']) expect(check({ ...good, target })).toMatch(/plain form/);
    expect(check({ ...good, target: '/?a=%' })).toMatch(/not percent-encoded/);
  });

  test('when the body is not the one whose hash is stated', () => {
    const headers = ['X-Amz-Content-Sha256', 'UNSIGNED-PAYLOAD'];
    const signedHeaders = 'host;x-amz-content-sha256;x-amz-date';
    expect(check(request({ headers, signedHeaders, signature: vanilla }))).toMatch(/not the hash of the body/);
  });

  test('when it is signed in another way', () => {
    expect(check({ ...good, rawHeaders: good.rawHeaders.slice(0, 4) })).toMatch(
      /^MissingAuthenticationTokenException: The request is not signed/,
    );
    expect(check({ ...good, rawHeaders: good.rawHeaders.slice(0, 4), target: '/?X-Amz-Signature=0' })).toMatch(/Signed URLs are not taken/);
    const other = good.rawHeaders.map((value) => value.replace('AWS4-HMAC-SHA256', 'AWS4-ECDSA-P256-SHA256'));
    expect(check({ ...good, rawHeaders: other })).toMatch(/^IncompleteSignatureException/);
    expect(check(request({ signature: vanilla, signedHeaders: 'x-amz-date;host' }))).toMatch(/must be sorted/);
    expect(
      check(request({ signature: vanilla, headers: ['x-amz-security-token', 'a'], signedHeaders: 'host;x-amz-date;x-amz-security-token' })),
    ).toMatch(/no session token/);
  });

  test('when it was signed for another service', () => {
    expect(() => checkSigV4(good, { service: 'lambda', nowMs, secretOf: () => published })).toThrow(/must name the service lambda/);
  });
});
