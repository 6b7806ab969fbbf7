import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { delimiter, dirname } from 'node:path';

/** npm passes on what the terminal has sent already: the same signal within this time is the same wish. */
const sameWishMs = 1_000;

/**
 * Runs a program to its end with this process's terminal.
 * Each signal reaches it once: what the terminal sends it gets by itself, everything else is passed on.
 * @returns its exit code (128 + the signal's number when a signal ended it), and whether somebody asked it to stop
 */
export function runChild(program, argv, { cwd, env = process.env, stdio = 'inherit' }) {
  return new Promise((resolve) => {
    const path = [dirname(program), env.PATH].join(delimiter);
    const child = spawn(program, argv, { cwd, stdio, env: { ...env, PATH: path } });
    const lastMs = new Map();
    let stopped = false;
    const pass = (signal) => {
      stopped = true;
      const now = performance.now();
      const isRepeated = now - (lastMs.get(signal) ?? -Infinity) < sameWishMs;
      lastMs.set(signal, now);
      if (!isRepeated && !(signal !== 'SIGTERM' && terminalSignalsUs())) child.kill(signal);
    };
    const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
    for (const signal of signals) process.on(signal, pass);
    // npm's shell dies of a signal without passing it on; then nobody is left who could.
    const parent = process.ppid;
    const watch = process.env.npm_lifecycle_event && setInterval(() => process.ppid !== parent && pass('SIGTERM'), 500);
    const end = (code) => {
      clearInterval(watch);
      for (const signal of signals) process.off(signal, pass);
      resolve({ code, stopped });
    };
    child.on('error', (error) => {
      console.error(`${program} cannot be started: ${error.message}`);
      end(127);
    });
    child.on('exit', (code, signal) => end(code ?? 128 + constants.signals[signal]));
  });
}

/** Whether Ctrl-C in a terminal reaches this process and its children: they are its foreground process group. */
function terminalSignalsUs() {
  if (process.platform !== 'linux') return process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY;
  // proc(5): after the parenthesised name come state, parent, process group, session, terminal, foreground group.
  const stat = readFileSync('/proc/self/stat', 'utf8');
  const [, , group, , , foreground] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return group === foreground;
}
