import type { ManifestInput } from '@orb/protocol';
import { formatBytes } from '../terminal/format.ts';
import { bundleSource, type Bundle } from './bundle-source.ts';
import { resolveImage, type ImageSource } from './resolve-image.ts';

/** Where a version's code comes from. */
export type CodeSource = { readonly file: string } | ImageSource;

/** Code, and what it makes of the manifest. */
export interface CodeForDeploy extends Bundle {
  readonly manifest: Partial<ManifestInput> & Pick<ManifestInput, 'kind' | 'runtime'>;
  /** What was done, for people. */
  readonly summary: string;
}

/** What reading it is called, for people. */
export function readingOf(source: CodeSource): string {
  return 'file' in source ? `Bundling ${source.file}` : `Looking up ${source.image}`;
}

/** @throws OrbError `bad-source`, `too-large` */
export async function readCode(source: CodeSource): Promise<CodeForDeploy> {
  if (!('file' in source)) return resolveImage(source);
  const bundle = await bundleSource(source.file);
  return {
    ...bundle,
    manifest: { kind: 'bundle', runtime: 'deno-2' },
    summary: `Bundled ${source.file}: ${formatBytes(bundle.code.byteLength)}`,
  };
}
