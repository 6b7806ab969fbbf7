import { programOf, sandboxConformance, servingConformance, servingSource } from '../conformance.ts';
import { DenoSandbox } from './deno-sandbox.ts';

sandboxConformance({ name: 'deno', create: () => new DenoSandbox() });
servingConformance({ name: 'deno', create: () => new DenoSandbox(), program: () => programOf(servingSource) });
