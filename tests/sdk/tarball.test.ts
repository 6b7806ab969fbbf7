import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile, readdir, writeFile } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { packSdk } from '../../scripts/pack-sdk.ts';
import { Elsewhere } from '../e2e/elsewhere.ts';
import { Network } from '../e2e/network.ts';

const workspace = dirname(dirname(import.meta.dirname));

/** A Node 20 of this machine; undefined where there is none. */
function findNode20(): string | undefined {
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => !folder.startsWith(workspace));
  return folders
    .map((folder) => join(folder, 'node'))
    .find((node) => existsSync(node) && execFileSync(node, ['--version'], { encoding: 'utf8' }).startsWith('v20.'));
}

const node20 = findNode20();
const noNode20 = node20 === undefined ? ' (there is no Node 20 on this machine)' : '';

/** What somebody writes who has installed the package. */
const program = `
import { Orb, isOrbError } from '@orb/sdk';

const [url, transport] = process.argv.slice(2);
const orb = new Orb({ url, transport });
const { output, info } = await orb.call('alice/echo', { from: process.version.split('.')[0] });
const stream = await orb.stream('alice/pieces');
let text = '';
for await (const piece of stream.body) text += new TextDecoder().decode(piece);
const code = await orb.call('alice/nothing').then(String, (error) => isOrbError(error) && error.code);
const aborted = await orb.call('alice/echo', 1, { signal: AbortSignal.abort() }).then(String, ({ code }) => code);
const { checked } = await orb.proveCall(info);
console.log(JSON.stringify({ output, text, code, aborted, checked: info.receipt.checked, proven: checked.job === info.job }));
// Neither closed nor exited: an idle link must let the program end.
`;

const typed = `
import { Orb, type CallResult, type OrbOptions } from '@orb/sdk';

const options: OrbOptions = { url: ['http://127.0.0.1:1'], transport: 'link', retries: 3 };
const orb = new Orb(options);
export const answer: Promise<CallResult> = orb.call('alice/echo', 1, { mayRepeat: true });
// @ts-expect-error -- there is no such transport
new Orb({ url: '', transport: 'pigeon' });
// @ts-expect-error -- output is unknown until somebody looks
export const word: string = (await answer).output;
`;

let elsewhere: Elsewhere;
let network: Network;
beforeAll(async () => {
  elsewhere = await Elsewhere.make();
  const installed = await elsewhere.install(packSdk(elsewhere.folder));
  expect(installed, installed.stderr).toMatchObject({ code: 0 });
  await writeFile(join(elsewhere.project, 'program.mjs'), program);
  network = await Network.start({ nodes: ['ant'] });
  await network.deploy('echo', 'export default (input) => input;');
  await network.deploy(
    'pieces',
    `export default { fetch: () => new Response(ReadableStream.from(['a', 'b'].map((l) => new TextEncoder().encode(l)))) };`,
  );
}, 300_000);
afterAll(async () => {
  await network?.stop();
  await elsewhere?.remove();
});

const runs = (version: string) => ({
  output: { from: version },
  text: 'ab',
  code: 'unknown-function',
  aborted: 'cancelled',
  checked: { request: true, result: true },
  proven: true,
});

describe('the tarball of the SDK', () => {
  test.skipIf(node20 === undefined).each(['http', 'link'])(
    `calls over %s with the Node 20 of this machine${noNode20}`,
    async (transport) => {
      const { code, stdout, stderr } = await elsewhere.run(node20!, ['program.mjs', network.gateway, transport]);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(JSON.parse(stdout)).toEqual(runs('v20'));
    },
  );

  test.each(['http', 'link'])('calls over %s with the Node of this workspace', async (transport) => {
    const { code, stdout, stderr } = await elsewhere.run(process.execPath, ['program.mjs', network.gateway, transport]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(JSON.parse(stdout)).toEqual(runs('v24'));
  });

  test('has types for whoever writes TypeScript', async () => {
    await writeFile(join(elsewhere.project, 'typed.ts'), typed);
    const compilerOptions = {
      module: 'nodenext',
      target: 'es2022',
      lib: ['es2023', 'dom'],
      strict: true,
      noEmit: true,
      types: [],
      skipLibCheck: false,
    };
    await writeFile(join(elsewhere.project, 'package.json'), JSON.stringify({ type: 'module' }));
    await writeFile(join(elsewhere.project, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['typed.ts'] }));
    const { code, stdout } = await elsewhere.run(process.execPath, [join(workspace, 'node_modules/typescript/bin/tsc'), '-p', '.']);
    expect({ code, stdout }).toEqual({ code: 0, stdout: '' });
  });

  test('bundles for browsers without anything of Node’s, and without the parts that make links', async () => {
    const { outputFiles, metafile, warnings } = await build({
      stdin: { contents: `export * from '@orb/sdk';`, resolveDir: elsewhere.project },
      bundle: true,
      write: false,
      metafile: true,
      format: 'esm',
      platform: 'browser',
      minify: true,
      logLevel: 'silent',
    });
    expect(warnings).toEqual([]);
    const inputs = Object.keys(metafile.inputs);
    expect(inputs.filter((path) => /node:|sodium|\/ws\/|wss/.test(path))).toEqual([]);
    expect(outputFiles[0]!.text).not.toMatch(/\bBuffer\.|from ?["']node:/);
  });

  test('holds no other room, no test and no TypeScript but declarations', async () => {
    const inside = join(elsewhere.project, 'node_modules/@orb/sdk');
    expect((await readdir(join(inside, 'node_modules/@orb'))).toSorted()).toEqual(['link', 'protocol']);
    const own = (await readdir(inside, { recursive: true })).filter((file) => /^(src|node_modules\/@orb)\//.test(file));
    expect(own.filter((file) => /\.test\.|testing|conformance/.test(file) || (file.endsWith('.ts') && !file.endsWith('.d.ts')))).toEqual(
      [],
    );
    const { dependencies } = JSON.parse(await readFile(join(inside, 'package.json'), 'utf8')) as { dependencies: object };
    expect(Object.keys(dependencies).filter((name) => /ledger|fabric|sandbox|deno|docker|classic-level/.test(name))).toEqual([]);
  });
});
