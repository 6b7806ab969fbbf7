import { readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, extname, join, posix, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

const top = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const notOurs = new Set(['node_modules', '.git', '.orb', 'dist', 'coverage']);

/** Every file of the project, as a path from its top with forward slashes. */
export function allFiles(): string[] {
  return walk(top).map((path) => relative(top, path).split(sep).join('/'));
}

/** The files with one of these extensions, such as `.ts`. */
export function filesOf(...extensions: string[]): string[] {
  return allFiles().filter((file) => extensions.includes(extname(file)));
}

export function read(file: string): string {
  return readFileSync(join(top, file), 'utf8');
}

export function readJson<T>(file: string): T {
  return JSON.parse(read(file)) as T;
}

/** Names of the packages' folders. */
export function packageNames(): string[] {
  return readdirSync(join(top, 'packages'), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name);
}

/** The package that a file belongs to. */
export function packageOf(file: string): string | undefined {
  return /^packages\/([^/]+)\//.exec(file)?.[1];
}

/** Tests and benches, and what only they use. */
export function isTest(file: string): boolean {
  return /\.test\.ts$|^tests\/|\/(bench|conformance|reference|test|testing|vectors)\/|\/conformance\.ts$/.test(file);
}

/** What a module imports or re-exports, types included unless only what is left at run time counts. */
export function importsOf(file: string, { atRunTime = false } = {}): string[] {
  const source = atRunTime ? read(file).replace(/^(import|export) type [^;]*;/gm, '') : read(file);
  const statements = source.matchAll(/^(?:import|export)\b[^'"`;]*?\bfrom\s+['"]([^'"]+)['"]|^import\s+['"]([^'"]+)['"]/gm);
  const dynamic = source.matchAll(/\bimport\(\s*['"]([^'"]+)['"]/g);
  return [...statements, ...dynamic].map((match) => match[1] ?? match[2] ?? '');
}

/** A relative import as a path from the top. */
export function resolveImport(file: string, specifier: string): string {
  return posix.normalize(posix.join(posix.dirname(file), specifier));
}

/** `file:line` of every line that matches. */
export function linesMatching(file: string, pattern: RegExp): string[] {
  return read(file)
    .split('\n')
    .flatMap((line, index) => (pattern.test(line) ? [`${file}:${index + 1}: ${line.trim().slice(0, 120)}`] : []));
}

function walk(directory: string): string[] {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    if (notOurs.has(basename(entry.name)) || entry.name.endsWith('.log') || entry.name.startsWith('.orb-install')) return [];
    const path = join(directory, entry.name);
    if (entry.isDirectory()) return walk(path);
    return entry.isFile() ? [path] : [];
  });
}
