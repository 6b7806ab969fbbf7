import { readFileSync } from 'node:fs';
import { errorTable, type ErrorCode } from '@orb/protocol';
import { expect, test } from 'vitest';
import { cliReference } from '../reference/cli-reference.ts';
import { exitCodeOf, exitCodes } from './session/exit-codes.ts';

test('docs/reference/cli.md is what the command tree says: regenerate it with packages/cli/reference/cli-reference.ts', () => {
  expect(readFileSync(new URL('../../../docs/reference/cli.md', import.meta.url), 'utf8')).toBe(cliReference());
});

test('every error has a documented exit code other than success', () => {
  const documented = new Set<number>(Object.values(exitCodes).map(({ code }) => code));
  for (const code of Object.keys(errorTable) as ErrorCode[]) {
    expect(documented.has(exitCodeOf(code))).toBe(true);
    expect(exitCodeOf(code)).not.toBe(0);
  }
});
