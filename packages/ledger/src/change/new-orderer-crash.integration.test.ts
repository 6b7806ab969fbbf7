import { spawn } from 'node:child_process';
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { accountId, blockHash, signOrdererChange, type OrdererCertificate, type OrdererChange } from '@orb/protocol';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openEmbeddedLedger } from '../embedded/embedded-ledger.ts';
import { readLog } from '../embedded/read-log.ts';
import { orderer, testGenesis, TestClock, TestNetwork, testSigner } from '../testing/network.ts';
import { verifyLedger } from '../verify.ts';
import { readCertificateFile } from './certificate-file.ts';

const peers = ['ann', 'bea', 'cid'].map(testSigner);
const next = testSigner('next orderer');
const genesis = testGenesis({ peers: peers.map(({ publicKey }) => accountId(publicKey)) });
const child = fileURLToPath(new URL('../testing/begin-epoch-child.ts', import.meta.url));
/** When a new orderer is killed: at once, or after so much of the time from its certificate to its first block. */
const moments = ['at once', 0, 0.4, 0.8, 1.2] as const;

let root: string;
let certificate: OrdererCertificate;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'orb-new-orderer-'));
  const clock = new TestClock();
  const old = await openEmbeddedLedger({ folder: join(root, 'base'), genesis, ordererKey: orderer, clock: clock.read });
  const net = new TestNetwork(old, clock);
  for (const name of ['ann', 'bea', 'cid']) await net.createAccount(name);
  const stand = await old.stand();
  const { header } = stand;
  const change: OrdererChange = {
    v: 1,
    chain: old.chain,
    epoch: 2,
    height: header.height + 1,
    previous: blockHash(header),
    key: next.publicKey,
    gateway: 'https://next.test',
  };
  certificate = { change, stand, votes: peers.map((peer) => ({ key: peer.publicKey, signature: signOrdererChange(change, peer) })) };
  await old.close();
  await writeFile(join(root, 'change.json'), JSON.stringify(certificate));
});
afterAll(() => rm(root, { recursive: true, force: true }));

/** Starts a new orderer, kills it so long after it has written the certificate, and tells what it had said. */
async function killed(folder: string, afterMs: number | 'at once' | 'begun'): Promise<{ said: string[]; tookMs: number }> {
  const running = spawn(process.execPath, [child, folder, join(root, 'change.json')], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = new Promise((resolve) => running.once('exit', resolve));
  const kill = () => running.kill('SIGKILL');
  const said: string[] = [];
  let writtenMs = 0;
  let timer: NodeJS.Timeout | undefined;
  for await (const line of createInterface(running.stdout)) {
    said.push(line);
    if (line === 'started' && afterMs === 'at once') kill();
    if (line === 'written') {
      writtenMs = performance.now();
      if (typeof afterMs === 'number') timer = setTimeout(kill, afterMs);
    }
    if (line.startsWith('begun') && afterMs === 'begun') break;
  }
  const tookMs = performance.now() - writtenMs;
  kill();
  clearTimeout(timer);
  await exited;
  return { said, tookMs };
}

test('a new orderer that is killed before, while or after it makes its first block begins the epoch once, and loses no block that it told of', async () => {
  await cp(join(root, 'base'), join(root, 'whole'), { recursive: true });
  const { tookMs } = await killed(join(root, 'whole'), 'begun');
  for (const moment of moments) {
    const folder = join(root, `killed-${moment}`);
    await cp(join(root, 'base'), folder, { recursive: true });
    const { said } = await killed(folder, typeof moment === 'number' ? tookMs * moment : moment);
    const kept = await readCertificateFile(folder);
    if (said.includes('written')) expect(kept).toEqual(certificate);
    // Where it was killed before it had written it down, its operator hands it in again.
    const options = { folder, ordererKey: next, clock: new TestClock().read, change: kept ?? certificate };
    const ledger = await openEmbeddedLedger(options);
    const { head } = ledger;
    expect(head).toMatchObject({ epoch: 2, height: certificate.change.height });
    const told = said.find((line) => line.startsWith('begun '));
    if (told !== undefined) expect(told).toBe(`begun ${blockHash(head)}`);
    await ledger.close();
    expect(await verifyLedger(genesis, readLog(folder))).toMatchObject({ ok: true, head });
    const again = await openEmbeddedLedger(options);
    expect(again.head).toEqual(head);
    await again.close();
  }
}, 240_000);
