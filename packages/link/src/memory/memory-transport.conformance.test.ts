import { linkConformance } from '../conformance.ts';
import { MemoryTransport } from './memory-transport.ts';

linkConformance('memory', (settings) => {
  const transport = new MemoryTransport({ settings });
  return { transport, openPipe: (address) => Promise.resolve({ pipe: transport.openPipe(address), exporter: '0'.repeat(64) }) };
});
