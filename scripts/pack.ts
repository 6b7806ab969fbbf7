import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';

/*
 * Makes the tarball that `npm install` takes anywhere: the `orb` command with all packages of this workspace inside,
 * each file compiled to JavaScript and otherwise as it stands here. Packages of others stay dependencies, at the exact
 * versions of this workspace. See docs/decisions/0151-one-tarball.md.
 */
const top = join(import.meta.dirname, '..');

interface PackageJson {
  readonly name: string;
  readonly version: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly [other: string]: unknown;
}

/** @param folder where the tarball goes. @returns its path */
export function packOrb(folder: string): string {
  const staging = mkdtempSync(join(tmpdir(), 'orb-pack-'));
  try {
    const names = readdirSync(join(top, 'packages'));
    compile(staging);
    for (const name of names) stagePackage(name, staging);
    stageTop(names, staging);
    return pack(staging, folder);
  } finally {
    rmSync(staging, { recursive: true, force: true });
  }
}

/** Types are stripped and imports of `.ts` become imports of `.js`; nothing else changes. */
function compile(staging: string): void {
  const config = join(staging, 'tsconfig.json');
  const compilerOptions = {
    noEmit: false,
    rootDir: join(top, 'packages'),
    outDir: join(staging, 'node_modules/@orb'),
    rewriteRelativeImportExtensions: true,
    typeRoots: [join(top, 'node_modules/@types')],
  };
  const include = [join(top, 'packages/*/src')];
  const exclude = ['**/*.test.ts', '**/testing/**', '**/conformance/**', '**/conformance.ts'].map((pattern) =>
    join(top, 'packages', pattern),
  );
  writeFileSync(config, JSON.stringify({ extends: join(top, 'tsconfig.json'), compilerOptions, include, exclude }));
  run(process.execPath, [join(top, 'node_modules/typescript/bin/tsc'), '-p', config], top);
  rmSync(config);
}

function stagePackage(name: string, staging: string): void {
  const [from, to] = [join(top, 'packages', name), join(staging, 'node_modules/@orb', name)];
  // What is no source stands beside the compiled sources, as it is; templates are sources for people.
  cpSync(join(from, 'src'), join(to, 'src'), { recursive: true, filter: (path) => path.endsWith('.d.ts') || !/\.(ts|md)$/.test(path) });
  if (name === 'cli') cpSync(join(from, 'templates'), join(to, 'templates'), { recursive: true });
  const { dependencies: _, optionalDependencies: __, devDependencies: ___, bin: ____, ...rest } = readPackage(name);
  writeJson(join(to, 'package.json'), JSON.parse(JSON.stringify(rest).replaceAll(/(?<!\.d)\.ts"/g, '.js"')));
}

function stageTop(names: readonly string[], staging: string): void {
  const packages = names.map(readPackage);
  const { version, license } = readPackage('cli') as PackageJson & { license: string };
  const foreign = (field: 'dependencies' | 'optionalDependencies') =>
    Object.fromEntries(
      packages
        .flatMap((each) => Object.entries(each[field] ?? {}))
        .filter(([name]) => !name.startsWith('@orb/'))
        .toSorted(([a], [b]) => (a < b ? -1 : 1)),
    );
  const own = Object.fromEntries(packages.map((each) => [each.name, each.version]));
  writeJson(join(staging, 'package.json'), {
    name: 'orb',
    version,
    description: 'Orb: deploy functions, call them, lend a computer – on an open network that proves every job and payment',
    license,
    type: 'module',
    bin: { orb: 'orb.js' },
    engines: { node: '>=24' },
    dependencies: { ...foreign('dependencies'), ...own },
    optionalDependencies: foreign('optionalDependencies'),
    bundleDependencies: Object.keys(own),
  });
  writeFileSync(join(staging, 'orb.js'), launcher, { mode: 0o755 });
  for (const file of ['LICENSE', 'NOTICE', 'README.md']) cpSync(join(top, file), join(staging, file));
}

/** Says what is missing in words that an old Node understands too. */
const launcher = `#!/usr/bin/env node
const major = Number(process.versions.node.split('.')[0]);
if (major < 24) {
  console.error(\`✗ orb needs Node 24 or later; this is \${process.versions.node}.\\n  Install it: https://nodejs.org\`);
  process.exit(1);
}
await import('./node_modules/@orb/cli/src/main.js');
`;

function pack(staging: string, folder: string): string {
  mkdirSync(folder, { recursive: true });
  const answer = run('npm', ['pack', '--json', '--ignore-scripts'], staging);
  const [{ filename }] = JSON.parse(answer.slice(answer.indexOf('['))) as [{ filename: string }];
  const path = resolve(folder, filename);
  cpSync(join(staging, filename), `${path}.tmp`);
  renameSync(`${path}.tmp`, path);
  return path;
}

function run(program: string, argv: readonly string[], cwd: string): string {
  const { status, stdout, stderr } = spawnSync(program, argv, { cwd, encoding: 'utf8', maxBuffer: 64 * 1_048_576 });
  if (status !== 0) throw new Error(`${program} ${argv.join(' ')} ended with ${status}:\n${stdout}${stderr}`);
  return stdout;
}

function readPackage(name: string): PackageJson {
  return JSON.parse(readFileSync(join(top, 'packages', name, 'package.json'), 'utf8')) as PackageJson;
}

function writeJson(path: string, value: unknown): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${JSON.stringify(value, null, 2)}\n`);
}

if (import.meta.main) console.log(packOrb(join(top, 'dist')));
