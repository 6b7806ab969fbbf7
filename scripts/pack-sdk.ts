import { cpSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { compile, foreign, packedPackage, packStaged, readPackage, top, writeJson } from './pack-parts.ts';

/** The SDK and the rooms that it stands on: no ledger, no sandbox (docs/decisions/0190). */
const rooms = ['sdk', 'link', 'protocol'] as const;

/** What of these rooms' dependencies only listeners need, who make certificates. */
const listenersOnly: ReadonlySet<string> = new Set(['@peculiar/x509', 'reflect-metadata']);

/** Where a Node of the time of Node 20 differs from ours: a call of something newer does not compile. */
const olderNode = { target: 'es2023', lib: ['es2023', 'es2024.string', 'esnext.disposable'], declaration: true };

/** The oldest Node that it runs on. */
const node = '>=20.19';

/**
 * Makes the tarball of `@orb/sdk`: JavaScript with its types, for Node and for bundlers of browser programs.
 * @param folder where it goes. @returns its path
 */
export function packSdk(folder: string): string {
  return packStaged(folder, (staging) => {
    const compiled = join(staging, 'node_modules/@orb');
    compile(rooms, compiled, olderNode);
    renameSync(join(compiled, 'sdk', 'src'), join(staging, 'src'));
    for (const room of ['link', 'protocol']) writeJson(join(compiled, room, 'package.json'), { ...packedPackage(room), engines: { node } });
    for (const source of [join(staging, 'src'), compiled]) nameDeclarations(source);
    const own = Object.fromEntries(['link', 'protocol'].map(readPackage).map((each) => [each.name, each.version]));
    const needed = Object.entries(foreign(rooms, 'dependencies')).filter(([other]) => !listenersOnly.has(other));
    writeJson(join(staging, 'package.json'), {
      ...packedPackage('sdk'),
      engines: { node },
      dependencies: { ...Object.fromEntries(needed), ...own },
      bundleDependencies: Object.keys(own),
    });
    cpSync(join(top, 'packages/sdk/README.md'), join(staging, 'README.md'));
  });
}

/** The compiler leaves `.ts` in the imports of declarations; beside them stand `.d.ts` and `.js`. */
function nameDeclarations(folder: string): void {
  for (const file of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    if (!file.endsWith('.d.ts')) continue;
    const path = join(folder, file);
    writeFileSync(path, readFileSync(path, 'utf8').replaceAll(/((?:from |import\()['"]\.[^'"]*)\.ts(['"])/g, '$1.js$2'));
  }
}
