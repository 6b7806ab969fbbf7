import { fetchConformance, sandboxConformance, wasmConformance } from '../conformance.ts';
import { MemorySandbox } from './memory-sandbox.ts';

sandboxConformance({ name: 'memory', create: () => new MemorySandbox() });
fetchConformance({ name: 'memory', create: () => new MemorySandbox() });
wasmConformance({ name: 'memory', create: () => new MemorySandbox() });
