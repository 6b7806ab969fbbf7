import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { ledgerConformance } from '../conformance.ts';
import { openEmbeddedLedger } from './embedded-ledger.ts';

const folders: string[] = [];
afterAll(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true }))));

ledgerConformance('embedded', async (options) => {
  const folder = await mkdtemp(join(tmpdir(), 'orb-ledger-'));
  folders.push(folder);
  return openEmbeddedLedger({ folder, ...options });
});
