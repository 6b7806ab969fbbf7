import { chmod } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { runOrb, temporaryFolder } from '../../test/run-orb.ts';
import { TestGateway } from '../../test/test-gateway.ts';
import { examineDisk, examineNodeVersion, examinePort, examineSandbox } from './examine-computer.ts';
import type { Finding } from './finding.ts';

let gateway: TestGateway;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
beforeEach(async () => {
  gateway = await TestGateway.start();
  folder = await temporaryFolder();
});
afterEach(async () => {
  await gateway.stop();
  await folder.remove();
});

async function doctor(url = gateway.url) {
  const run = await runOrb(['doctor', '--json'], { home: folder.path, gateway: url });
  const { findings } = JSON.parse(run.stdout) as { findings: Finding[] };
  return { code: run.code, of: (name: string) => findings.find((finding) => finding.name === name) };
}

test('all is well: exit 0; a key that others may read, or a network that does not answer: exit 1, and how to mend it', async () => {
  await runOrb(['account', 'create', 'alice'], { home: folder.path, gateway: gateway.url });
  const well = await doctor();
  expect(well.code).toBe(0);
  for (const name of ['Node', 'network', 'clock', 'account', 'keys']) expect(well.of(name)).toMatchObject({ state: 'good' });
  expect(well.of('sandbox')?.state).not.toBe('bad');

  await chmod(join(folder.path, 'keys', 'alice.json'), 0o644);
  const open = await doctor();
  expect(open.code).toBe(1);
  expect(open.of('keys')).toMatchObject({ state: 'bad', mend: expect.stringContaining('chmod') });

  expect((await doctor('http://127.0.0.1:9')).of('network')).toMatchObject({ state: 'bad', mend: expect.stringContaining('--gateway') });
});

test('a clock that is off is seen by the time that the super node tells', async () => {
  const proxy = createServer((request, response) => {
    void fetch(`${gateway.url}${request.url}`).then(async (answer) => {
      response.sendDate = false;
      response.setHeader('date', new Date(Date.now() + 300_000).toUTCString()).end(await answer.text());
    });
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  try {
    const { of, code } = await doctor(`http://127.0.0.1:${(proxy.address() as AddressInfo).port}`);
    expect(of('clock')).toMatchObject({ state: 'bad', words: expect.stringMatching(/^is (299|30[01]) s behind/) });
    expect(code).toBe(1);
  } finally {
    await new Promise((resolve) => proxy.close(resolve));
  }
});

test('an old Node, a used port, a computer without an engine or with fewer walls are told apart', async () => {
  expect(examineNodeVersion('22.1.0')).toMatchObject({ state: 'bad' });
  const { port } = new URL(gateway.url);
  expect(await examinePort(Number(port), 'callers', undefined)).toMatchObject({ state: 'warn' });
  expect(await examinePort(Number(port), 'callers', 'the network')).toMatchObject({ state: 'good' });
  expect(await examineDisk(join(folder.path, 'not', 'there'))).toMatchObject({ name: 'disk' });
  const layer = { name: 'engine', active: false, stops: 'x', remedy: 'install it' };
  expect(examineSandbox({ tier: 'process', runtimes: [], layers: [layer] })).toMatchObject({ state: 'bad', mend: 'install it' });
  expect(examineSandbox({ tier: 'process', runtimes: ['deno-2'], layers: [layer] })).toMatchObject({ state: 'warn' });
});
