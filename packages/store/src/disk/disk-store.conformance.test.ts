import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { blobStoreConformance } from '../conformance.ts';
import { openDiskStore } from './disk-store.ts';

blobStoreConformance('DiskStore', async (limits) => {
  const directory = await mkdtemp(join(tmpdir(), 'orb-store-'));
  return {
    store: await openDiskStore({ ...limits, directory }),
    dispose: () => rm(directory, { recursive: true, force: true }),
  };
});
