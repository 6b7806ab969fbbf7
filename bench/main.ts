import { runBench } from './run-bench.ts';
import { runLedgerBench } from './run-ledger-bench.ts';

// `npm run bench`. Exit codes: 0 measured, 1 a wrong answer or a refusal, 2 a command line that makes no sense.
const [first, ...rest] = process.argv.slice(2);
process.exitCode = first === 'ledger' ? await runLedgerBench(rest) : await runBench(process.argv.slice(2));
