import { sandboxConformance } from '../conformance.ts';
import { DenoSandbox } from './deno-sandbox.ts';

sandboxConformance({ name: 'deno', create: () => new DenoSandbox() });
