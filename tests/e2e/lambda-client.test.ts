import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { InvokeCommand, LambdaClient, type InvokeCommandInput, type LambdaServiceException } from '@aws-sdk/client-lambda';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { checkBooks, settled } from './books.ts';
import { Network } from './network.ts';

interface Token {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

let network: Network;
let token: Token;
let client: LambdaClient;

function clientOf({ accessKeyId, secretAccessKey }: Token): LambdaClient {
  return new LambdaClient({ endpoint: network.gateway, region: 'orb', credentials: { accessKeyId, secretAccessKey }, maxAttempts: 1 });
}

beforeAll(async () => {
  network = await Network.start({ nodes: ['ant'] });
  await network.deploy(
    'sum',
    'export const handler = async ({ a, b }, context) => { console.log("adding", a, "and", b); return { sum: a + b, name: context.functionName, arn: context.invokedFunctionArn }; };',
  );
  await network.deploy('plain', 'export default (input) => input?.nothing ? undefined : { got: input };', ['--private']);
  await network.deploy(
    'faulty',
    `
    class StockError extends Error { name = 'StockError'; }
    export const handler = async ({ how }) => {
      if (how === 'throw') throw new StockError('no tea left');
      if (how === 'late') await new Promise(() => undefined);
      if (how === 'huge') return 'x'.repeat(7_000_000);
      return 10n;
    };`,
    ['--timeout', '2s'],
  );
  token = await network.ok<Token & Record<string, unknown>>('token', 'create', '--label', 'e2e');
  client = clientOf(token);
}, 120_000);
afterAll(async () => {
  client?.destroy();
  await network?.stop();
});

async function invoke(input: Partial<InvokeCommandInput> & { readonly event?: unknown }, as = client) {
  const { event, ...more } = input;
  const Payload = event === undefined ? {} : { Payload: JSON.stringify(event) };
  const answer = await as.send(new InvokeCommand({ FunctionName: 'alice/sum', ...Payload, ...more }));
  const text = answer.Payload?.transformToString();
  return { ...answer, json: text ? (JSON.parse(text) as unknown) : undefined };
}

async function refusal(
  input: Parameters<typeof invoke>[0],
  as = client,
): Promise<{ name: string; status: number | undefined; message: string }> {
  const error = await invoke(input, as).then(
    () => undefined,
    (thrown: LambdaServiceException) => thrown,
  );
  if (!error) throw new Error('The invocation was not refused.');
  return { name: error.name, status: error.$metadata.httpStatusCode, message: error.message };
}

describe('AWS’s own client with another endpoint', () => {
  test.each(['alice/sum', 'alice:sum', 'arn:aws:lambda:us-east-1:000000000000:function:alice/sum', 'alice/sum:1', 'alice:sum:$LATEST'])(
    'calls %s',
    async (FunctionName) => {
      const answer = await invoke({ FunctionName, event: { a: 1, b: 2 } });
      expect(answer).toMatchObject({ StatusCode: 200, ExecutedVersion: '1', json: { sum: 3, name: 'alice/sum' } });
      expect(answer.FunctionError).toBeUndefined();
    },
  );

  test('calls what a handler’s own context names, and the version that Qualifier names', async () => {
    const { json } = await invoke({ event: { a: 1, b: 1 } });
    expect(await invoke({ FunctionName: (json as { arn: string }).arn, event: { a: 2, b: 2 } })).toMatchObject({ json: { sum: 4 } });
    expect(await invoke({ Qualifier: '1', event: { a: 1, b: 1 } })).toMatchObject({ ExecutedVersion: '1' });
    expect(await refusal({ Qualifier: '9', event: {} })).toMatchObject({ name: 'ResourceNotFoundException', status: 404 });
  });

  test('reaches a private function of the token’s account; no event is {} and no result is null', async () => {
    expect((await network.call('plain', { event: {} })).status).toBe(401);
    expect(await invoke({ FunctionName: 'alice/plain' })).toMatchObject({ json: { got: {} } });
    expect(await invoke({ FunctionName: 'alice/plain', event: [1, 'é'] })).toMatchObject({ json: { got: [1, 'é'] } });
    expect(await invoke({ FunctionName: 'alice/plain', event: { nothing: true } })).toMatchObject({ json: null });
  });

  test('gets the tail of the log', async () => {
    const { LogResult } = await invoke({ LogType: 'Tail', event: { a: 1, b: 2 } });
    expect(Buffer.from(LogResult!, 'base64').toString()).toMatch(
      /^START RequestId: [0-9a-f]{32} Version: 1\nINFO\tadding 1 and 2\nEND RequestId: .*\nREPORT RequestId: .*\tDuration: [\d.]+ ms\tBilled Duration: \d+ ms\tMemory Size: 128 MB/,
    );
  });

  test('asks by DryRun whether it may, and nothing runs', async () => {
    const { jobs: before } = await network.get<{ jobs: unknown[] }>('/v1/jobs');
    expect(await invoke({ InvocationType: 'DryRun', event: {} })).toMatchObject({ StatusCode: 204 });
    expect(await refusal({ InvocationType: 'DryRun', FunctionName: 'alice/nothing' })).toMatchObject({ name: 'ResourceNotFoundException' });
    expect((await network.get<{ jobs: unknown[] }>('/v1/jobs')).jobs).toHaveLength(before.length);
  });

  test('is told that Event is not there yet', async () => {
    expect(await refusal({ InvocationType: 'Event', event: {} })).toMatchObject({
      name: 'InvalidParameterValueException',
      status: 400,
      message: expect.stringContaining('not supported yet'),
    });
  });

  test.each([
    ['throw', 'StockError', 'no tea left'],
    ['late', 'Sandbox.Timedout', 'did not answer within 2000 ms'],
    ['huge', 'Function.ResponseSizeTooLarge', 'more than'],
    ['bigint', 'Runtime.MarshalError', 'not JSON'],
  ])('has the function’s error as Lambda tells it: %s', async (how, errorType, words) => {
    const answer = await invoke({ FunctionName: 'alice/faulty', event: { how } });
    expect(answer).toMatchObject({ StatusCode: 200, FunctionError: 'Unhandled', ExecutedVersion: '1' });
    expect(answer.json).toEqual({ errorType, errorMessage: expect.stringContaining(words), trace: [] });
  });

  test('is refused with Lambda’s own exceptions', async () => {
    expect(await refusal({ FunctionName: 'alice/nothing' })).toMatchObject({ name: 'ResourceNotFoundException', status: 404 });
    expect(await refusal({ FunctionName: 'nonsense' })).toMatchObject({ name: 'InvalidParameterValueException', status: 400 });
    expect(await refusal({ Payload: '{' })).toMatchObject({ name: 'InvalidRequestContentException', status: 400 });
  });
});

describe('a token', () => {
  test('is good for the functions it names and no others', async () => {
    const narrow = clientOf(await network.ok<never>('token', 'create', 'alice/sum', '--for', '5m'));
    expect(await invoke({ event: { a: 1, b: 1 } }, narrow)).toMatchObject({ json: { sum: 2 } });
    expect(await refusal({ FunctionName: 'alice/plain' }, narrow)).toMatchObject({ name: 'AccessDeniedException', status: 403 });
    narrow.destroy();
  });

  test('of somebody else does not open a private function', async () => {
    await network.ok('account', 'create', 'mallory', '--role', 'developer');
    const mallory = clientOf(await network.ok<never>('token', 'create', '--account', 'mallory'));
    expect(await refusal({ FunctionName: 'alice/plain' }, mallory)).toMatchObject({ name: 'AccessDeniedException', status: 403 });
    const { json, LogResult } = await invoke({ event: { a: 1, b: 1 }, LogType: 'Tail' }, mallory);
    expect(json).toMatchObject({ sum: 2 });
    // What a function writes is for its owner.
    expect(Buffer.from(LogResult!, 'base64').toString()).not.toContain('adding');
    mallory.destroy();
  });

  test('ends when it is revoked, and a wrong secret never works', async () => {
    const brief = await network.ok<Token & Record<string, unknown>>('token', 'create');
    const its = clientOf(brief);
    expect(await invoke({ event: { a: 1, b: 1 } }, its)).toMatchObject({ StatusCode: 200 });
    await network.ok('token', 'revoke', brief.accessKeyId);
    expect(await refusal({ event: {} }, its)).toMatchObject({ name: 'UnrecognizedClientException' });
    const wrong = clientOf({ ...token, secretAccessKey: brief.secretAccessKey });
    expect(await refusal({ event: {} }, wrong)).toMatchObject({ name: 'InvalidSignatureException' });
    const { tokens } = await network.ok<{ tokens: { accessKeyId: string }[] }>('token', 'list');
    expect(tokens.map(({ accessKeyId }) => accessKeyId)).not.toContain(brief.accessKeyId);
    for (const one of [its, wrong]) one.destroy();
  });

  test('is needed: an unsigned call is refused', async () => {
    const answer = await fetch(`${network.gateway}/2015-03-31/functions/alice%2Fsum/invocations`, { method: 'POST', body: '{}' });
    expect([answer.status, answer.headers.get('x-amzn-errortype')]).toEqual([403, 'MissingAuthenticationTokenException']);
  });

  test('has its secret in no file of the super node', async () => {
    const { superNodeFolder } = network;
    const entries = await readdir(superNodeFolder, { recursive: true, withFileTypes: true });
    for (const entry of entries.filter((one) => one.isFile())) {
      expect(await readFile(join(entry.parentPath, entry.name), 'latin1')).not.toContain(token.secretAccessKey);
    }
  });
});

test('a super node that comes back still knows its tokens; all of it is paid and the books balance', async () => {
  await network.superNode.end('SIGINT');
  await network.startSuperNode();
  await network.linked('ant');
  expect(await invoke({ event: { a: 20, b: 22 } })).toMatchObject({ json: { sum: 42 } });
  await settled(network);
  expect((await checkBooks(network)).total).toBe(0n);
});
