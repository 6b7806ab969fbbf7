import { build } from 'esbuild';
import { afterAll, describe, expect, it } from 'vitest';
import { bundleFormat, commonJsMark, needsModule } from './bundle-format.ts';
import { jobOf, programOf, textOf } from './conformance.ts';
import { MemorySandbox } from './memory/memory-sandbox.ts';

async function bundle(contents: string, format?: 'commonjs' | 'module'): Promise<string> {
  const { outputFiles } = await build({
    ...bundleFormat(format),
    stdin: { contents, loader: 'ts', resolveDir: import.meta.dirname },
    logLevel: 'silent',
  });
  return outputFiles[0]!.text;
}

describe('bundle format', () => {
  const sandbox = new MemorySandbox();
  afterAll(() => sandbox.close());

  async function answer(code: string): Promise<string> {
    const instance = await sandbox.start(programOf(code));
    const result = await instance.invoke(jobOf('abc'));
    return textOf(result);
  }

  it('is CommonJS with the mark that the harness looks for', async () => {
    const code = await bundle(
      `import { createHash } from 'node:crypto'; export default (input: string) => createHash('sha256').update(input).digest('hex').slice(0, 8);`,
    );
    expect(code.startsWith(commonJsMark)).toBe(true);
    expect(await answer(code)).toBe('"ba7816bf"');
  });

  it('falls back to a module for top-level await, and says when', async () => {
    const source = 'const n = await Promise.resolve(2); export default () => n;';
    const failure = await bundle(source).catch((error: { errors: { text: string }[] }) => error);
    expect(needsModule((failure as { errors: { text: string }[] }).errors)).toBe(true);
    expect(await answer(await bundle(source, 'module'))).toBe('2');
  });

  it('does not need the module format for other errors', () => {
    expect(needsModule([{ text: 'Could not resolve "left-pad"' }])).toBe(false);
  });
});
