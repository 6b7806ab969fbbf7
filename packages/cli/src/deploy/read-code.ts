import { extname } from 'node:path';
import type { ManifestInput } from '@orb/protocol';
import { formatBytes } from '../terminal/format.ts';
import { bundleSource, type Bundle } from './bundle-source.ts';
import { readModule } from './read-module.ts';
import { resolveImage, type ImageSource } from './resolve-image.ts';

/** Where a version's code comes from. */
export type CodeSource = FileSource | ImageSource;

/** A source file, or a WebAssembly module. */
interface FileSource {
  readonly file: string;
  /** Which export answers, where the owner says so now. */
  readonly handler?: string | undefined;
}

/** Code, and what it makes of the manifest. */
export interface CodeForDeploy extends Bundle {
  readonly manifest: Partial<ManifestInput> & Pick<ManifestInput, 'kind' | 'runtime'>;
  /** What was done, for people. */
  readonly summary: string;
}

/** What reading it is called, for people. */
export function readingOf(source: CodeSource): string {
  if (!('file' in source)) return `Looking up ${source.image}`;
  return `${isModule(source) ? 'Reading' : 'Bundling'} ${source.file}`;
}

/** @throws OrbError `bad-source`, `too-large` */
export async function readCode(source: CodeSource): Promise<CodeForDeploy> {
  if (!('file' in source)) return resolveImage(source);
  if (isModule(source)) return readModule(source.file, source.handler);
  const bundle = await bundleSource(source.file);
  return {
    ...bundle,
    manifest: { kind: 'bundle', runtime: 'deno-2' },
    summary: `Bundled ${source.file}: ${formatBytes(bundle.code.byteLength)}`,
  };
}

function isModule({ file }: FileSource): boolean {
  return extname(file) === '.wasm';
}
