import { build } from 'esbuild';
import { OrbError } from '@orb/protocol';

/** Exports that answer without being named. */
const answering = ['default', 'fetch', 'handler'];

/** What a source file exports by name. Undefined where the file alone does not tell: CommonJS, `export * from`. */
export async function exportedNames(path: string): Promise<readonly string[] | undefined> {
  const { metafile, outputFiles } = await build({
    entryPoints: [path],
    format: 'esm',
    metafile: true,
    write: false,
    logLevel: 'silent',
  });
  const isModule = Object.values(metafile.inputs).some(({ format }) => format === 'esm');
  // esbuild writes each on a line of its own.
  if (!isModule || outputFiles.some(({ text }) => /^export \* from /m.test(text))) return undefined;
  return Object.values(metafile.outputs).flatMap((output) => output.exports);
}

/**
 * Finds out here what every call would be told.
 * @param names what the source exports, undefined where that is not known
 * @param handler the manifest's: an export's name, a dotted path, or `auto`
 * @throws OrbError `bad-source` where nothing of it can answer calls
 */
export function checkHandler(names: readonly string[] | undefined, handler: string): void {
  if (!names) return;
  const wanted = handler === 'auto' ? answering : [handler.split('.', 1)[0]!];
  if (wanted.some((name) => names.includes(name))) return;
  const exported = names.length === 0 ? 'nothing' : names.slice(0, 5).join(', ');
  throw new OrbError('bad-source', {
    message:
      handler === 'auto' ? `Nothing here answers calls: it exports ${exported}.` : `There is no export ${handler}: it exports ${exported}.`,
    hint: 'Export a default function, a default object with fetch(), or a function named handler; or name the export with --handler.',
  });
}
