import { cpSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { packSdk } from './pack-sdk.ts';
import { compile, foreign, packedPackage, packStaged, readPackage, top, writeJson } from './pack-parts.ts';

/*
 * Makes the tarball that `npm install` takes anywhere: the `orb` command with all packages of this workspace inside,
 * each file compiled to JavaScript and otherwise as it stands here. Packages of others stay dependencies, at the exact
 * versions of this workspace. See docs/decisions/0151-one-tarball.md.
 */

/** @param folder where the tarball goes. @returns its path */
export function packOrb(folder: string): string {
  return packStaged(folder, (staging) => {
    const rooms = readdirSync(join(top, 'packages'));
    compile(['*'], join(staging, 'node_modules/@orb'));
    for (const room of rooms) stageRoom(room, staging);
    stageTop(rooms, staging);
  });
}

function stageRoom(room: string, staging: string): void {
  const [from, to] = [join(top, 'packages', room), join(staging, 'node_modules/@orb', room)];
  // What is no source stands beside the compiled sources, as it is; templates are sources for people.
  cpSync(join(from, 'src'), join(to, 'src'), { recursive: true, filter: (path) => path.endsWith('.d.ts') || !/\.(ts|md)$/.test(path) });
  if (room === 'cli') cpSync(join(from, 'templates'), join(to, 'templates'), { recursive: true });
  writeJson(join(to, 'package.json'), packedPackage(room));
}

function stageTop(rooms: readonly string[], staging: string): void {
  const { version, license } = readPackage('cli');
  const own = Object.fromEntries(rooms.map(readPackage).map((each) => [each.name, each.version]));
  writeJson(join(staging, 'package.json'), {
    name: 'orb',
    version,
    description: 'Orb: deploy functions, call them, lend a computer – on an open network that proves every job and payment',
    license,
    type: 'module',
    bin: { orb: 'orb.js' },
    engines: { node: '>=24' },
    dependencies: { ...foreign(rooms, 'dependencies'), ...own },
    optionalDependencies: foreign(rooms, 'optionalDependencies'),
    bundleDependencies: Object.keys(own),
  });
  writeFileSync(join(staging, 'orb.js'), launcher, { mode: 0o755 });
  cpSync(join(top, 'README.md'), join(staging, 'README.md'));
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

if (import.meta.main) for (const pack of [packOrb, packSdk]) console.log(pack(join(top, 'dist')));
