export { run, type RunOptions } from './run.ts';
export { exitCodes, exitCodeOf } from './session/exit-codes.ts';
