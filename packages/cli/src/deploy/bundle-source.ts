import { stat } from 'node:fs/promises';
import { builtinModules } from 'node:module';
import { basename, dirname, extname, join, resolve } from 'node:path';
import { build, type BuildFailure, type Message, type Plugin } from 'esbuild';
import { OrbError, limits, sha256, type Hex32 } from '@orb/protocol';
import { bundleFormat, needsModule } from '@orb/sandbox';

import { formatBytes } from '../terminal/format.ts';
import { exportedNames } from './exported-names.ts';

export interface Bundle {
  readonly code: Uint8Array;
  readonly sha256: Hex32;
  /** The source files that went in, absolute; those of npm packages too. */
  readonly inputs: readonly string[];
  /** Where each place of the code was in the sources: stays on this machine. */
  readonly sourceMap?: string;
  /** What the source exports by name, where that is known. */
  readonly exports?: readonly string[] | undefined;
  /** Words of esbuild that do not stop it. */
  readonly warnings: readonly string[];
}

const sources = ['.ts', '.mts', '.cts', '.tsx', '.js', '.mjs', '.cjs', '.jsx'];

/**
 * Bundles a source file and the npm packages it imports into the one file that the sandbox loads.
 * @throws OrbError `bad-source` with esbuild's own message and line; `too-large`
 */
export async function bundleSource(file: string): Promise<Bundle> {
  const path = resolve(file);
  await checkSource(path, file);
  const result = await buildAs('commonjs', path)
    .catch((failure: BuildFailure) => {
      if (needsModule(failure.errors ?? [])) return buildAs('module', path);
      throw failure;
    })
    .catch((failure: BuildFailure) => {
      throw badSource(failure, file);
    });
  const exports = await exportedNames(path);
  const output = (ending: string) => result.outputFiles.find(({ path: name }) => name.endsWith(ending))!;
  const code = output('.js').contents;
  if (code.byteLength > limits.codeBytes) {
    throw new OrbError('too-large', {
      message: `${file} bundles to ${formatBytes(code.byteLength)}; the limit is ${formatBytes(limits.codeBytes)}.`,
      hint: 'Import less, or a smaller package: esbuild’s --analyze shows what takes the room.',
    });
  }
  return {
    code,
    sha256: sha256(code),
    exports,
    sourceMap: output('.js.map').text,
    inputs: Object.keys(result.metafile.inputs).map((input) => join(dirname(path), input)),
    warnings: result.warnings.map(({ text, location }) => `${location ? `${location.file}:${location.line}: ` : ''}${text}`),
  };
}

/** Node's built-ins by their full names: in a module the sandbox knows them by no other. */
const builtIns: Plugin = {
  name: 'built-ins',
  setup({ onResolve }) {
    const names = new Set(builtinModules.filter((name) => !/^(node:|_)/.test(name)));
    onResolve({ filter: /^[a-z]/ }, ({ path }) => (names.has(path) ? { path: `node:${path}`, external: true } : undefined));
  },
};

/** The bytes depend on the source alone: deploying it twice, or from another machine, is the same version. */
function buildAs(format: 'commonjs' | 'module', path: string) {
  const folder = dirname(path);
  return build({
    ...bundleFormat(format),
    entryPoints: [path],
    absWorkingDir: folder,
    outfile: join(folder, 'function.js'),
    plugins: [builtIns],
    // Beside the code, which stays as it would be without.
    sourcemap: 'external',
    sourcesContent: false,
    metafile: true,
    logLevel: 'silent',
  });
}

/** The function's name for a file: `hello.ts` → `hello`, `resize-image/index.ts` → `resize-image`. */
export function nameFromFile(file: string): string {
  const path = resolve(file);
  const stem = basename(path, extname(path));
  const chosen = /^(index|main|handler)$/.test(stem) ? basename(dirname(path)) : stem;
  return chosen
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, limits.functionNameChars)
    .replace(/-+$/, '');
}

async function checkSource(path: string, file: string): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isDirectory())
    throw new OrbError('bad-source', { message: `${file} is a folder.`, hint: `Give the file in it: ${join(file, 'index.ts')}, say.` });
  if (!found?.isFile())
    throw new OrbError('bad-source', { message: `There is no file ${file}.`, hint: 'Give the path of a .ts, .js or .wasm file.' });
  if (!sources.includes(extname(path)))
    throw new OrbError('bad-source', {
      message: `${file} is neither TypeScript nor JavaScript.`,
      hint: `Orb takes ${sources.join(', ')} and .wasm.`,
    });
}

function badSource(failure: BuildFailure, file: string): OrbError {
  const errors: readonly Message[] = failure.errors ?? [];
  if (errors.length === 0) return new OrbError('bad-source', { message: `${file} cannot be bundled: ${failure.message}`, cause: failure });
  const more = errors.length > 5 ? `\n… and ${errors.length - 5} more` : '';
  const missing = errors.find(({ text }) => text.startsWith('Could not resolve'));
  return new OrbError('bad-source', {
    message: `${file} cannot be bundled.\n${errors.slice(0, 5).map(describeMessage).join('\n')}${more}`,
    hint: missing
      ? 'Install what is missing beside the source (npm install), or correct the import.'
      : 'Correct the source and deploy again.',
    details: {
      errors: errors
        .slice(0, 5)
        .map(({ text, location }) => ({ text, file: location?.file, line: location?.line, column: location?.column })),
    },
  });
}

/** `bad.ts:2:13: Unexpected ";"` and the line with a mark under the place. */
function describeMessage({ text, location }: Message): string {
  if (!location) return `  ${text}`;
  const { file, line, column, lineText } = location;
  const shown = lineText.slice(0, 120);
  const mark = column < shown.length + 1 ? `\n    ${' '.repeat(column)}^` : '';
  return `  ${file}:${line}:${column + 1}: ${text}\n    ${shown.replaceAll('\t', ' ')}${mark}`;
}
