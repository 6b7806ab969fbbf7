#!/usr/bin/env node
import { availableParallelism } from 'node:os';
import process from 'node:process';
import { fittingThreads } from './fitting-threads.ts';
import { setHeapFlags } from './heap-flags.ts';

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

const { execArgv, execPath, argv } = process;
const nodeArgs = [...execArgv, process.env['NODE_OPTIONS'] ?? ''];
const threads = fittingThreads({ args: argv.slice(2), nodeArgs, cores: availableParallelism() });
// The same process goes on with it: only a new program's command line says how many threads V8 has.
if (threads !== undefined && process.platform !== 'win32') {
  process.execve?.(execPath, [execPath, threads, ...execArgv, ...argv.slice(1)], process.env);
}

setHeapFlags();

// A reader that has gone (`orb … | head`) is no failure of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));

// All else is read only now: a server's start would read it twice.
const { run } = await import('./run.ts');
const { stdin, stdout, stderr, env } = process;
process.exitCode = await run({ argv: argv.slice(2), signal: watchSignals() }, { stdin, stdout, stderr, env });
// Open sockets and timers of a finished command hold nobody up.
stdout.write('', () => process.exit());
