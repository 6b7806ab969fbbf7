import { blobStoreConformance } from '../conformance.ts';
import { MemoryStore } from './memory-store.ts';

blobStoreConformance('MemoryStore', async (limits) => ({ store: new MemoryStore(limits) }));
