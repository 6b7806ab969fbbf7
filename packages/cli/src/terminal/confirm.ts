import type { Session } from '../session/session.ts';

/** Asks a person at the terminal to type a word. */
export async function confirm(
  { terminal, signal }: Pick<Session, 'terminal' | 'signal'>,
  question: string,
  wanted: string,
): Promise<boolean> {
  const { createInterface } = await import('node:readline/promises');
  const reader = createInterface({ input: terminal.streams.stdin, output: terminal.streams.stderr });
  try {
    return (await reader.question(question, { signal })).trim() === wanted;
  } catch {
    return false;
  } finally {
    reader.close();
  }
}
