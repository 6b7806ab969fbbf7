import { fileURLToPath } from 'node:url';
import { findDeno } from '@orb/sandbox/deno';
import type { CallTarget } from '../load/caller.ts';
import { descendants } from '../measure/processes.ts';
import type { Row, RunningRow } from '../row.ts';

const env = { DENO_DIR: '/proc/nope', DENO_NO_UPDATE_CHECK: '1', DENO_WEBGPU_BACKEND: 'none' };
const flags = ['run', '--quiet', '--no-prompt', '--no-config', '--no-lock', '--no-npm', '--no-remote', '--no-check'];

/** How Deno alone is started. @throws OrbError `sandbox-failed` when it is not installed */
export function bareDeno(): Extract<CallTarget, { protocol: 'frames' }> {
  const script = fileURLToPath(new URL('./echo.js', import.meta.url));
  return { protocol: 'frames', command: findDeno(), args: [...flags, script], env };
}

/** Deno alone, called over its standard input and output. Its caller starts it: there is no other process. */
export const bareDenoRow: Row = {
  id: 'deno',
  name: 'Bare Deno frames',
  async start(): Promise<RunningRow> {
    return {
      target: bareDeno(),
      processes: (caller) => descendants(caller).map(({ pid }) => ({ role: 'sandbox', pid })),
      stop: () => Promise.resolve(),
    };
  },
};
