import { escapesOf } from '../../test/escape/escape-suite.ts';
import { forge, javascript } from '../../test/escape/javascript.ts';
import type { Attempt } from '../../test/escape/tries.ts';
import { programOf } from '../conformance.ts';
import { DenoSandbox } from './deno-sandbox.ts';

const good = programOf('export default (n) => n + 1');
const hostile = {
  column: javascript,
  good: () => Promise.resolve(good),
  program: ({ code, before = '', loads }: Attempt) =>
    Promise.resolve(
      programOf(
        `${forge}\n${before}\nexport default async (input, ctx) => { ${code} }`,
        loads === 'timed-out' ? { startTimeoutMs: 300 } : {},
      ),
    ),
};

escapesOf('JavaScript in tier namespaces', { ...hostile, tier: 'namespaces', open: () => new DenoSandbox() });
escapesOf('JavaScript in tier process', {
  ...hostile,
  tier: 'process',
  first: true,
  open: () => new DenoSandbox({ without: ['namespaces', 'seccomp'] }),
});
