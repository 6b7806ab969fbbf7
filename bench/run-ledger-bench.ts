import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const entry = fileURLToPath(new URL('../packages/ledger/bench/main.ts', import.meta.url));

/** `npm run bench -- ledger`: the ledger room's own bench, in a process of its own. Resolves to its exit code. */
export function runLedgerBench(argv: readonly string[]): Promise<number> {
  if (!existsSync(entry)) {
    console.error('The ledger has no bench of its own in this version.');
    return Promise.resolve(2);
  }
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [entry, ...argv], { stdio: 'inherit' });
    process.on('SIGINT', () => {});
    child.on('exit', (code) => resolve(code ?? 1));
  });
}
