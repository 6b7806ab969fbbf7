import { OrbError } from '@orb/protocol';
import type { Terminal } from './terminal.ts';

const passphraseChars = 1_024;

/**
 * Asks on the terminal without showing what is typed.
 * @throws OrbError `key-store` where there is no terminal, `cancelled` on Ctrl-C
 */
export function promptHidden(terminal: Terminal, question: string, maxChars = passphraseChars): Promise<string> {
  const { stdin, stderr } = terminal.streams;
  if (!stdin.isTTY || !stdin.setRawMode) {
    throw new OrbError('key-store', {
      message: 'A passphrase is needed, and there is no terminal to ask for it.',
      hint: 'Set ORB_PASSPHRASE or give --passphrase-file FILE.',
    });
  }
  // First: what is typed at once must not be shown, and Ctrl-C is ours to read.
  stdin.setRawMode(true);
  stdin.resume();
  stderr.write(question);
  return new Promise((resolve, reject) => {
    let typed = '';
    const finish = (settle: () => void) => {
      stdin.off('data', onData);
      stdin.setRawMode?.(false);
      stdin.pause();
      stderr.write('\n');
      settle();
    };
    const onData = (data: Buffer | string) => {
      for (const char of data.toString('utf8')) {
        if (char === '\r' || char === '\n') return finish(() => resolve(typed));
        if (char === '\u0003' || char === '\u0004') return finish(() => reject(new OrbError('cancelled', { message: 'Cancelled.' })));
        if (char === '\u007f' || char === '\b') typed = Array.from(typed).slice(0, -1).join('');
        else if (char >= ' ' && typed.length < maxChars) typed += char;
      }
    };
    stdin.on('data', onData);
  });
}
