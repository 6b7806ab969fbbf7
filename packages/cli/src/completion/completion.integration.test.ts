import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { createCommandContext } from '../commands/command-context.ts';
import { buildProgram } from '../program.ts';
import { Terminal } from '../terminal/terminal.ts';
import { commandWords } from './command-words.ts';
import { completionScript, shells } from './completion-script.ts';

const { stdin, stdout, stderr } = process;
const context = createCommandContext({
  terminal: new Terminal({ stdin, stdout, stderr, env: {} }),
  signal: new AbortController().signal,
  home: '/',
});
const tree = commandWords(buildProgram(context, ''));

/** What bash offers for the last word. */
function complete(...words: string[]): string[] {
  const script = `${completionScript('bash', tree)}\nCOMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _orb; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout: text, stderr: errors } = spawnSync('bash', ['-c', script, 'bash', 'orb', ...words], { encoding: 'utf8' });
  expect(errors).toBe('');
  return text.split('\n').filter(Boolean);
}

test('bash completes commands, subcommands and options where the tree has them, past options that come before', () => {
  expect(complete('de')).toEqual(expect.arrayContaining(['deploy', 'dev', 'decommission']));
  expect(complete('account', '')).toEqual(expect.arrayContaining(['create', 'use', '--json']));
  expect(complete('--account', 'alice', 'node', 'pa')).toEqual(['pause']);
  expect(complete('deploy', 'hello.ts', '--mem')).toEqual(['--memory']);
  expect(complete('deploy', 'hello.t')).toEqual([]);
  expect(complete('supernode', 'start', '--stop')).toEqual([]);
});

test.each(shells)('the script of %s has every command of the tree', (shell) => {
  const script = completionScript(shell, tree);
  expect(tree.length).toBeGreaterThan(40);
  for (const { path, words } of tree) {
    if (path !== '') expect(script).toContain(`" ${path}"`);
    for (const { word } of words) expect(script).toContain(shell === 'fish' ? word.replace(/^--/, '-l ') : word);
  }
});

/** Whether a shell is here; where tests must run it, its absence fails them. */
const has = (shell: string) => process.env['CI'] === 'true' || spawnSync(shell, ['-c', 'true']).status === 0;

/** What fish offers for the last word of a line. */
function completeInFish(line: string): string[] {
  const script = `${completionScript('fish', tree)}\ncomplete -C "$argv[1]"`;
  const { stdout: text, stderr: errors } = spawnSync('fish', ['--no-config', '-c', script, line], {
    encoding: 'utf8',
    env: { PATH: process.env['PATH'], HOME: '/', TERM: 'dumb' },
  });
  expect(errors).toBe('');
  return text
    .split('\n')
    .filter(Boolean)
    .map((found) => found.split('\t')[0]!);
}

test.runIf(has('fish'))('fish completes commands, subcommands and options (skipped where there is no fish)', () => {
  expect(completeInFish('orb de')).toEqual(expect.arrayContaining(['deploy', 'dev', 'decommission']));
  expect(completeInFish('orb account ')).toEqual(expect.arrayContaining(['create', 'use']));
  expect(completeInFish('orb --account alice node pa')).toEqual(['pause']);
  expect(completeInFish('orb deploy hello.ts --mem')).toEqual(['--memory']);
});

/** What zsh offers for the last word: the matches that its completion system is given, narrowed to the word as it would. */
function completeInZsh(...given: string[]): string[] {
  const script = `
    compdef() { : }
    _files() { : }
    _describe() { local -a all=("\${(@P)4}"); print -rl -- "\${(@)all%%:*}" }
    ${completionScript('zsh', tree)}
    words=("$@"); CURRENT=$#; _orb`;
  const { stdout: text, stderr: errors } = spawnSync('zsh', ['-f', '-c', script, 'zsh', 'orb', ...given], { encoding: 'utf8' });
  expect(errors).toBe('');
  return text.split('\n').filter((word) => word !== '' && word.startsWith(given.at(-1)!));
}

test.runIf(has('zsh'))('zsh completes commands, subcommands and options (skipped where there is no zsh)', () => {
  expect(completeInZsh('de')).toEqual(expect.arrayContaining(['deploy', 'dev', 'decommission']));
  expect(completeInZsh('account', '')).toEqual(expect.arrayContaining(['create', 'use', '--json']));
  expect(completeInZsh('--account', 'alice', 'node', 'pa')).toEqual(['pause']);
  expect(completeInZsh('deploy', 'hello.ts', '--mem')).toEqual(['--memory']);
});
