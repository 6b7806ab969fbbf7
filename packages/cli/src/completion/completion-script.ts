import type { CommandWords } from './command-words.ts';

export const shells = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof shells)[number];

/**
 * What a shell runs to complete `orb`. The words before the cursor are followed through the tree; options and their
 * values in between are passed over. Where nothing of the tree fits, files are offered.
 */
export function completionScript(shell: Shell, tree: readonly CommandWords[]): string {
  return { bash, zsh, fish }[shell](tree);
}

function bash(tree: readonly CommandWords[]): string {
  return `# bash completion of orb. Load it now: source <(orb completion bash)
_orb() {
  local at="" word words=""
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$at $word" in
      ${paths(tree).join('|')}) at="$at $word" ;;
    esac
  done
  case "$at" in
${tree.map(({ path, words }) => `    ${keyOf(path)}) words=${quote(words.map(({ word }) => word).join(' '))} ;;`).join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _orb orb
`;
}

function zsh(tree: readonly CommandWords[]): string {
  const described = (words: CommandWords['words']) =>
    words.map(({ word, meaning }) => quote(`${word.replaceAll(':', '\\:')}:${plain(meaning)}`)).join(' ');
  return `#compdef orb
# zsh completion of orb. Load it now: source <(orb completion zsh)
_orb() {
  local at="" word
  local -a found
  for word in "\${(@)words[2,CURRENT-1]}"; do
    case "$at $word" in
      ${paths(tree).join('|')}) at="$at $word" ;;
    esac
  done
  case "$at" in
${tree.map(({ path, words }) => `    ${keyOf(path)}) found=(${described(words)}) ;;`).join('\n')}
  esac
  _describe -t commands orb found || _files
}
compdef _orb orb
`;
}

function fish(tree: readonly CommandWords[]): string {
  const lines = tree.flatMap(({ path, words }) =>
    words.map(({ word, meaning }) => {
      const what = word.startsWith('--') ? `-l ${word.slice(2)}` : `-f -a ${word}`;
      return `complete -c orb -n ${quote(`__orb_at ${keyOf(path)}`)} ${what} -d ${quote(plain(meaning))}`;
    }),
  );
  return `# fish completion of orb. Load it now: orb completion fish | source
function __orb_at
  set -l at ""
  for word in (commandline -opc)[2..-1]
    if contains -- "$at $word" ${paths(tree).join(' ')}
      set at "$at $word"
    end
  end
  test "$at" = "$argv[1]"
end
${lines.join('\n')}
`;
}

/** Where the tree can lead, as the scripts follow it: each word behind a space. */
function paths(tree: readonly CommandWords[]): readonly string[] {
  return tree.filter(({ path }) => path !== '').map(({ path }) => keyOf(path));
}

function keyOf(path: string): string {
  return path === '' ? '""' : `" ${path}"`;
}

function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** One line without what shells take for more than text. */
function plain(text: string): string {
  return text.replaceAll(/[\n\\]/g, ' ');
}
