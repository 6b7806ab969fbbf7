import { expect, test } from 'vitest';
import { filesOf, importsOf, isTest, packageNames, packageOf, resolveImport } from './tree.ts';

/** The other rooms that a room may import. Tests may import all. */
const mayImport: Record<string, readonly string[]> = {
  protocol: [],
  types: [],
  link: ['protocol'],
  ledger: ['protocol'],
  sandbox: ['protocol'],
  store: ['protocol'],
  sdk: ['protocol', 'link'],
  'super-node': ['protocol', 'link', 'ledger', 'sandbox', 'store', 'sdk'],
  node: ['protocol', 'link', 'ledger', 'sandbox', 'store', 'sdk'],
  cli: ['protocol', 'link', 'ledger', 'sandbox', 'store', 'sdk', 'super-node', 'node', 'types'],
};
const roomsWithAdapters = ['link', 'ledger', 'sandbox', 'store'];
const composers = [
  ...['super-node', 'node', 'cli', 'sdk'].map((room) => `packages/${room}/src/compose.ts`),
  'packages/super-node/src/compose-ledger.ts',
  'packages/cli/src/compose-peer.ts',
];

const sources = filesOf('.ts').filter((file) => packageOf(file) !== undefined && !isTest(file));
const imports = sources.flatMap((file) => importsOf(file).map((specifier) => ({ file, specifier })));

test('every package has its place in the list of who may import whom', () => {
  expect(packageNames().toSorted()).toEqual(Object.keys(mayImport).toSorted());
});

test('a room imports only the rooms below it', () => {
  const wrong = imports.filter(({ file, specifier }) => {
    const room = packageOf(file)!;
    const imported = /^@orb\/([^/]+)/.exec(specifier)?.[1];
    return imported !== undefined && imported !== room && !mayImport[room]?.includes(imported);
  });
  expect(wrong).toEqual([]);
});

test('no room reaches into the files of another: it imports the package', () => {
  const wrong = imports.filter(
    ({ file, specifier }) => specifier.startsWith('.') && packageOf(resolveImport(file, specifier)) !== packageOf(file),
  );
  expect(wrong).toEqual([]);
});

test('adapters of other rooms are imported by what composes alone', () => {
  const adapter = new RegExp(`^@orb/(${roomsWithAdapters.join('|')})/(?!conformance$)`);
  expect(imports.filter(({ file, specifier }) => adapter.test(specifier) && !composers.includes(file))).toEqual([]);
});

test('imports carry their extension, so that Node runs the files as they are', () => {
  expect(imports.filter(({ specifier }) => specifier.startsWith('.') && !/\.(ts|js|mjs|json)$/.test(specifier))).toEqual([]);
});

test('no two modules import each other, directly or around a corner', () => {
  // Types are not there at run time: two modules may name each other's.
  const local = (file: string) => importsOf(file, { atRunTime: true }).filter((specifier) => specifier.startsWith('.'));
  const next = new Map(sources.map((file) => [file, local(file).map((specifier) => resolveImport(file, specifier))]));
  const finished = new Set<string>();
  const cycles: string[] = [];
  const visit = (file: string, path: readonly string[]): void => {
    if (path.includes(file)) cycles.push([...path.slice(path.indexOf(file)), file].join(' → '));
    if (path.includes(file) || finished.has(file)) return;
    for (const target of next.get(file) ?? []) visit(target, [...path, file]);
    finished.add(file);
  };
  for (const file of next.keys()) visit(file, []);
  expect(cycles).toEqual([]);
});
