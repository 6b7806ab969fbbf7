import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { ledgerConformance } from '../conformance.ts';
import { createMemoryLedger } from '../memory/memory-ledger.ts';
import { openReplicaLedger } from './open-replica-ledger.ts';
import { ledgerUpstream } from './upstream.ts';

const folders: string[] = [];
afterAll(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true }))));

ledgerConformance('replica', async (options) => {
  const folder = await mkdtemp(join(tmpdir(), 'orb-replica-'));
  folders.push(folder);
  const upstream = ledgerUpstream(await createMemoryLedger(options));
  return openReplicaLedger({ folder, genesis: options.genesis, clock: options.clock, upstream });
});
