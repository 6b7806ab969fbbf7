import { execFileSync } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { OrbError } from '@orb/protocol';

const packages: Readonly<Record<string, string>> = {
  'linux-x64': '@deno/linux-x64-glibc',
  'linux-arm64': '@deno/linux-arm64-glibc',
  'darwin-x64': '@deno/darwin-x64',
  'darwin-arm64': '@deno/darwin-arm64',
  'win32-x64': '@deno/win32-x64',
};

/** Path of Deno's own binary, from the package for this platform. @throws OrbError `sandbox-failed` when it is missing */
export function findDeno(): string {
  const platform = `${process.platform}-${process.arch}`;
  const name = packages[platform];
  if (name === undefined)
    throw new OrbError('sandbox-failed', {
      message: `There is no Deno for ${platform}.`,
      hint: 'Lend a computer with Linux, macOS or Windows.',
    });
  const file = process.platform === 'win32' ? 'deno.exe' : 'deno';
  try {
    return realpathSync(createRequire(import.meta.url).resolve(`${name}/${file}`));
  } catch (cause) {
    throw new OrbError('sandbox-failed', {
      message: `The package ${name} is not installed.`,
      hint: 'Run npm install without --omit=optional.',
      cause,
    });
  }
}

/** A file that must be seen inside: where it is, and where the loader looks for it. */
export interface SharedLibrary {
  readonly source: string;
  readonly target: string;
}

/** The shared libraries and the loader that a Linux binary needs, as the system's own loader finds them. */
export function sharedLibraries(binary: string): SharedLibrary[] {
  const listing = execFileSync('ldd', [binary], { encoding: 'utf8', env: {}, timeout: 10_000 });
  const paths = [...listing.matchAll(/(?:=>\s*|^\s*)(\/[^\s(]+)/gm)].map((match) => match[1]!);
  return [...new Set(paths)].filter((path) => existsSync(path)).map((target) => ({ source: realpathSync(target), target }));
}
