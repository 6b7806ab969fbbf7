import { escapesOf } from '../../test/escape/escape-suite.ts';
import type { Attempt } from '../../test/escape/tries.ts';
import { webAssembly } from '../../test/escape/web-assembly.ts';
import { programOf } from '../conformance.ts';
import { wasmOf } from '../conformance/wasm.ts';
import { DenoSandbox } from './deno-sandbox.ts';

const hostile = {
  column: webAssembly,
  good: () => Promise.resolve(programOf('export default (n) => n + 1')),
  program: ({ code, loads }: Attempt) => wasmOf(code, loads === 'timed-out' ? { startTimeoutMs: 1 } : {}),
};

escapesOf('WebAssembly in tier namespaces', { ...hostile, tier: 'namespaces', open: () => new DenoSandbox() });
escapesOf('WebAssembly in tier process', {
  ...hostile,
  tier: 'process',
  first: true,
  open: () => new DenoSandbox({ without: ['namespaces', 'seccomp'] }),
});
