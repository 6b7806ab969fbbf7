import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { containerJob } from '../test/escape/container-job.ts';
import { containerServer } from '../test/escape/container-server.ts';
import { javascript } from '../test/escape/javascript.ts';
import { attemptsOf, isAttempt, titleOf, tries, type Column } from '../test/escape/tries.ts';
import { webAssembly } from '../test/escape/web-assembly.ts';

const columns: Readonly<Record<string, Column>> = { javascript, webAssembly, containerJob, containerServer };
const testFiles = globSync('**/*.ts', { cwd: import.meta.dirname }).filter((file) => /\.test\.ts$|conformance/.test(file));
const tested = testFiles.map((file) => readFileSync(join(import.meta.dirname, file), 'utf8')).join('\n');

test.each(Object.entries(columns))('%s: every try is made, proved by a test that there is, or said to make no sense', (_name, column) => {
  const cells = tries.map((what) => [what, column[what]] as const);
  expect(cells.filter(([, cell]) => cell.length === 0)).toEqual([]);
  const proofs = cells.flatMap(([, cell]) => (typeof cell === 'string' ? [] : cell.filter((each) => !isAttempt(each))));
  expect(proofs.filter((proof) => !('test' in proof) || !tested.includes(`'${proof.test}'`))).toEqual([]);
});

test.each(Object.entries(columns))('%s: no two ways have the same name, and each that fails says in which words', (_name, column) => {
  const all = attemptsOf(column);
  const titles = all.map(({ what, attempt }) => titleOf(what, attempt));
  expect(titles.filter((title, i) => titles.indexOf(title) !== i)).toEqual([]);
  const silent = all.filter(({ attempt: { outcome, error, loads } }) => outcome !== 'ok' && loads === undefined && error === undefined);
  expect(silent.map(({ what }) => what)).toEqual([]);
});
