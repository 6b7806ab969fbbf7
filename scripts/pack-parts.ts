import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';

/** The root of this workspace. */
export const top = join(import.meta.dirname, '..');

export interface PackageJson {
  readonly name: string;
  readonly version: string;
  readonly license: string;
  readonly description: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly [other: string]: unknown;
}

export function readPackage(name: string): PackageJson {
  return JSON.parse(readFileSync(join(top, 'packages', name, 'package.json'), 'utf8')) as PackageJson;
}

export function writeJson(path: string, value: unknown): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${JSON.stringify(value, null, 2)}\n`);
}

/**
 * Types are stripped and imports of `.ts` become imports of `.js`; nothing else changes.
 * @param outDir gets a folder for each room @param options of the compiler, beyond the workspace's own
 */
export function compile(rooms: readonly string[], outDir: string, options: object = {}): void {
  const config = join(dirname(outDir), 'tsconfig.json');
  const compilerOptions = {
    noEmit: false,
    rootDir: join(top, 'packages'),
    outDir,
    rewriteRelativeImportExtensions: true,
    typeRoots: [join(top, 'node_modules/@types')],
    ...options,
  };
  const include = rooms.map((room) => join(top, 'packages', room, 'src'));
  const exclude = ['**/*.test.ts', '**/testing/**', '**/conformance/**', '**/conformance.ts'].map((pattern) =>
    join(top, 'packages', pattern),
  );
  mkdirSync(dirname(config), { recursive: true });
  writeFileSync(config, JSON.stringify({ extends: join(top, 'tsconfig.json'), compilerOptions, include, exclude }));
  run(process.execPath, [join(top, 'node_modules/typescript/bin/tsc'), '-p', config], top);
  rmSync(config);
}

/** A room's package.json as it goes out: its files are JavaScript, and what it needs the whole tarball needs. */
export function packedPackage(room: string): object {
  const { dependencies: _, optionalDependencies: __, devDependencies: ___, bin: ____, ...rest } = readPackage(room);
  return JSON.parse(JSON.stringify(rest).replaceAll(/(?<!\.d)\.ts"/g, '.js"')) as object;
}

/** Packages of others that rooms need, at the exact versions of this workspace. */
export function foreign(rooms: readonly string[], field: 'dependencies' | 'optionalDependencies'): Record<string, string> {
  return Object.fromEntries(
    rooms
      .flatMap((room) => Object.entries(readPackage(room)[field] ?? {}))
      .filter(([name]) => !name.startsWith('@orb/'))
      .toSorted(([a], [b]) => (a < b ? -1 : 1)),
  );
}

/** Calls `stage` with an empty folder, packs what it has put there, and moves the tarball to `folder`. @returns its path */
export function packStaged(folder: string, stage: (staging: string) => void): string {
  const staging = mkdtempSync(join(tmpdir(), 'orb-pack-'));
  try {
    stage(staging);
    for (const file of ['LICENSE', 'NOTICE']) cpSync(join(top, file), join(staging, file));
    mkdirSync(folder, { recursive: true });
    const answer = run('npm', ['pack', '--json', '--ignore-scripts'], staging);
    const [{ filename }] = JSON.parse(answer.slice(answer.indexOf('['))) as [{ filename: string }];
    const path = resolve(folder, filename);
    cpSync(join(staging, filename), `${path}.tmp`);
    renameSync(`${path}.tmp`, path);
    return path;
  } finally {
    rmSync(staging, { recursive: true, force: true });
  }
}

function run(program: string, argv: readonly string[], cwd: string): string {
  const { status, stdout, stderr } = spawnSync(program, argv, { cwd, encoding: 'utf8', maxBuffer: 64 * 1_048_576 });
  if (status !== 0) throw new Error(`${program} ${argv.join(' ')} ended with ${status}:\n${stdout}${stderr}`);
  return stdout;
}
