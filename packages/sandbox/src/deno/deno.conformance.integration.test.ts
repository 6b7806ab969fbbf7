import { fetchConformance, programOf, sandboxConformance, servingConformance, servingSource, wasmConformance } from '../conformance.ts';
import { DenoSandbox } from './deno-sandbox.ts';

sandboxConformance({ name: 'deno', create: () => new DenoSandbox() });
fetchConformance({ name: 'deno', create: () => new DenoSandbox() });
wasmConformance({ name: 'deno', create: () => new DenoSandbox() });
servingConformance({ name: 'deno', create: () => new DenoSandbox(), program: () => programOf(servingSource) });
