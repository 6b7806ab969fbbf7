import { Help, type Command } from 'commander';

/** What may be typed after some words. */
export interface CommandWords {
  /** The words before, such as `account create`; empty for `orb` itself. */
  readonly path: string;
  readonly words: readonly { readonly word: string; readonly meaning: string }[];
}

/** Every command of the tree with its subcommands and options, those of every command among them. */
export function commandWords(program: Command): readonly CommandWords[] {
  const help = new Help();
  const shared = optionWords(program, help);
  const visit = (command: Command, path: string): readonly CommandWords[] => {
    const children = help.visibleCommands(command).filter((child) => child.name() !== 'help' || path === '');
    const words = [
      ...children.map((child) => ({ word: child.name(), meaning: child.description() })),
      ...(path === '' ? [] : optionWords(command, help)),
      ...shared,
    ];
    return [
      { path, words: unique(words) },
      ...children.flatMap((child) => visit(child, path === '' ? child.name() : `${path} ${child.name()}`)),
    ];
  };
  return visit(program, '');
}

function optionWords(command: Command, help: Help): CommandWords['words'] {
  return help.visibleOptions(command).flatMap(({ long, description }) => (long ? [{ word: long, meaning: description }] : []));
}

function unique(words: CommandWords['words']): CommandWords['words'] {
  return [...new Map(words.map((each) => [each.word, each])).values()];
}
