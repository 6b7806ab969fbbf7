import { readFile } from 'node:fs/promises';
import { OrbError } from '@orb/protocol';
import { promptHidden } from '../terminal/hidden-prompt.ts';
import type { Terminal } from '../terminal/terminal.ts';
import type { PassphraseSource } from './key-store.ts';

export interface PassphraseOptions {
  /** Ask for a passphrase when a new key is made. */
  readonly ask?: boolean | undefined;
  /** Its first line is the passphrase. */
  readonly file?: string | undefined;
}

const minChars = 8;

/**
 * Passphrases from `--passphrase-file`, else ORB_PASSPHRASE, else typed on the terminal. Never from the command line,
 * which others on the machine can list. One answer serves the whole command.
 */
export function createPassphraseSource(options: PassphraseOptions, terminal: Terminal): PassphraseSource {
  let known: Promise<string> | undefined;
  const given = async (): Promise<string | undefined> => {
    if (options.file !== undefined) return readPassphraseFile(options.file);
    return terminal.streams.env['ORB_PASSPHRASE'] || undefined;
  };
  return {
    async forNewKey() {
      const passphrase = (await given()) ?? (options.ask ? await (known ??= promptTwice(terminal)) : undefined);
      if (passphrase !== undefined && passphrase.length < minChars) {
        throw new OrbError('key-store', { message: `The passphrase has fewer than ${minChars} characters.`, hint: 'Choose a longer one.' });
      }
      return passphrase;
    },
    async forKey(name) {
      return (await given()) ?? (known ??= promptHidden(terminal, `Passphrase of ${name}: `));
    },
  };
}

async function readPassphraseFile(path: string): Promise<string> {
  try {
    return (await readFile(path, 'utf8')).split(/\r?\n/, 1)[0]!;
  } catch (cause) {
    throw new OrbError('key-store', {
      message: `The passphrase file ${path} cannot be read (${(cause as NodeJS.ErrnoException).code}).`,
      cause,
    });
  }
}

async function promptTwice(terminal: Terminal): Promise<string> {
  const first = await promptHidden(terminal, 'New passphrase: ');
  if (first !== (await promptHidden(terminal, 'The same again: ')))
    throw new OrbError('key-store', { message: 'The two passphrases differ.', hint: 'Try again.' });
  return first;
}
