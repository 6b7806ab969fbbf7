import { asOrbError, type OrbError } from '@orb/protocol';
import { cleanText } from '../terminal/clean-text.ts';
import type { Terminal } from '../terminal/terminal.ts';
import { exitCodeOf } from './exit-codes.ts';

/**
 * Tells the person what went wrong, in one line, and what to do next, in another.
 * @returns the exit code
 */
export function reportError(thrown: unknown, terminal: Terminal, options: { readonly json: boolean; readonly verbose: boolean }): number {
  const error = describe(asOrbError(thrown));
  const exitCode = exitCodeOf(error.code);
  if (options.json) {
    terminal.note(JSON.stringify({ error: error.toJSON(), exitCode }));
    return exitCode;
  }
  const { noteStyle: style } = terminal;
  terminal.note(`${style.bad('✗')} ${cleanText(error.message, { multiline: true })}`);
  const hint = hintOf(error);
  if (hint !== undefined) terminal.note(`  ${style.quiet(cleanText(hint))}`);
  if (options.verbose) terminal.note(style.quiet(`  ${error.code}${causeOf(error)}`));
  return exitCode;
}

/** Faults of the machine have no words of ours: say theirs rather than nothing. */
function describe(error: OrbError): OrbError {
  if (error.code !== 'internal' || !(error.cause instanceof Error)) return error;
  const { cause } = error;
  return Object.assign(error, { message: `${error.message} (${cause.message.split('\n', 1)[0]})` });
}

function hintOf(error: OrbError): string | undefined {
  if (error.code === 'wrong-chain' && error.hint === undefined) return 'Was the network set up anew? Accept it: orb network use URL';
  if (error.code === 'internal') return 'Run it again with --verbose to see more.';
  return error.hint;
}

function causeOf(error: OrbError): string {
  return error.cause instanceof Error ? `\n${cleanText(error.cause.stack ?? String(error.cause), { multiline: true })}` : '';
}
