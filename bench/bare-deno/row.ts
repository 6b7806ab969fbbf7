import { fileURLToPath } from 'node:url';
import { findDeno } from '@orb/sandbox/deno';
import { descendants } from '../measure/processes.ts';
import type { Row, RunningRow } from '../row.ts';

const env = { DENO_DIR: '/proc/nope', DENO_NO_UPDATE_CHECK: '1', DENO_WEBGPU_BACKEND: 'none' };
const flags = ['run', '--quiet', '--no-prompt', '--no-config', '--no-lock', '--no-npm', '--no-remote', '--no-check'];

/** Deno alone, called over its standard input and output. Its caller starts it: there is no other process. */
export const bareDenoRow: Row = {
  id: 'deno',
  name: 'Bare Deno frames',
  async start(): Promise<RunningRow> {
    const script = fileURLToPath(new URL('./echo.js', import.meta.url));
    return {
      target: { protocol: 'frames', command: findDeno(), args: [...flags, script], env },
      processes: (caller) => descendants(caller).map(({ pid }) => ({ role: 'sandbox', pid })),
      stop: () => Promise.resolve(),
    };
  },
};
