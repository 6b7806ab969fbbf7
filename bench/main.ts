import { runEndurance } from './endurance/run-endurance.ts';
import { runBench } from './run-bench.ts';
import { runLedgerBench } from './run-ledger-bench.ts';
import { runRuntimes } from './runtimes/run-runtimes.ts';

// `npm run bench`. Exit codes: 0 measured, 1 a wrong answer or a refusal, 2 a command line that makes no sense.
const [first = '', ...rest] = process.argv.slice(2);
process.exitCode = await run(first, rest);

function run(what: string, argv: readonly string[]): Promise<number> {
  switch (what) {
    case 'ledger':
      return runLedgerBench(argv);
    case 'runtimes':
      return runRuntimes(argv);
    case 'steady':
    case 'overload':
      return runEndurance(what, argv);
    default:
      return runBench(process.argv.slice(2));
  }
}
