#!/usr/bin/env node
import process from 'node:process';
import { setHeapFlags } from './heap-flags.ts';
import { run } from './run.ts';

/** Aborts when the person, the system or a closed terminal asks to stop. */
function watchSignals(): AbortSignal {
  const stop = new AbortController();
  let askedAtMs = 0;
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      // Who asks twice does not want to wait for a clean end. npm and its scripts pass the same Ctrl-C on again at once.
      if (stop.signal.aborted && Date.now() - askedAtMs > 500) process.exit(130);
      if (!stop.signal.aborted) askedAtMs = Date.now();
      stop.abort(name);
    });
  }
  return stop.signal;
}

setHeapFlags();

// A reader that has gone (`orb … | head`) is no failure of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));

const { stdin, stdout, stderr, env } = process;
process.exitCode = await run({ argv: process.argv.slice(2), signal: watchSignals() }, { stdin, stdout, stderr, env });
// Open sockets and timers of a finished command hold nobody up.
stdout.write('', () => process.exit());
