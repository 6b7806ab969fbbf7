import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sdkReference } from '../../scripts/sdk-reference.ts';
import { Network } from '../e2e/network.ts';

const workspace = join(import.meta.dirname, '../..');
const page = readFileSync(join(workspace, 'docs/reference/sdk.md'), 'utf8');
const examples = [...page.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map(([, code]) => code!);

test('the page is what the comments say now: npm run docs writes it', () => {
  expect(page).toBe(sdkReference());
});

describe('the examples on it', () => {
  let network: Network;

  beforeAll(async () => {
    network = await Network.start({ nodes: ['ant'] });
    await network.ok('account', 'create', 'demo', '--role', 'developer');
    await network.ok('fund', 'demo');
    for (const [name, source] of Object.entries(functions))
      await network.ok('deploy', await network.write(`${name}.ts`, source), '--account', 'demo', '--replicas', '1');
  }, 120_000);
  afterAll(() => network?.stop());

  test('are there', () => expect(examples.length).toBeGreaterThanOrEqual(9));

  test.each(examples.map((code, i) => [i + 1, code] as const))('example %i does what it says', async (i, code) => {
    // Inside the workspace's own folders, so that its packages are found.
    const file = await network.write(`example-${i}.mts`, withPackages(code.replaceAll('http://127.0.0.1:7080', network.gateway)));
    const { code: exit, stdout, stderr } = await network.run(`example ${i}`, [file]);
    expect({ exit, stderr }).toEqual({ exit: 0, stderr: '' });
    for (const expected of expectedOutputs(code)) expect(stdout).toMatch(expected);
  });
});

const functions = {
  hello: 'export default ({ name }) => ({ hello: name });',
  count: `export default { async fetch(request) {
    const { to } = await request.json();
    const text = new TextEncoder();
    return new Response(ReadableStream.from(Array.from({ length: to }, (_, n) => text.encode(String(n + 1)))));
  } };`,
  web: `export default { fetch: (request) => new Response('Hello, ' + new URL(request.url).searchParams.get('name') + '!') };`,
};

/** The package by its place: the file stands outside of the workspace. */
function withPackages(code: string): string {
  return code.replaceAll("'@orb/sdk'", `'file://${join(workspace, 'packages/sdk/src/index.ts')}'`);
}

/** What stands behind each `console.log`; `…` is anything. */
function expectedOutputs(code: string): RegExp[] {
  const said = [...code.matchAll(/console\.log\(.*\);? \/\/ (.*)$/gm)].map(([, words]) => words!);
  return said.map(
    (words) =>
      new RegExp(
        words
          .split('…')
          .map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'))
          .join('[^]*'),
      ),
  );
}
