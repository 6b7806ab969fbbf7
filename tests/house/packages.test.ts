import { describe, expect, test } from 'vitest';
import { allFiles, packageNames, readJson } from './tree.ts';

interface PackageJson {
  readonly name?: string;
  readonly description?: string;
  readonly license?: string;
  readonly type?: string;
  readonly exports?: Readonly<Record<string, string | Readonly<Record<string, string>>>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

/** Rooms with a port: each has a conformance suite, a real adapter and one in memory where that makes sense. */
const ports = ['link', 'ledger', 'sandbox', 'store'];
const files = new Set(allFiles());

describe.each(packageNames())('package %s', (name) => {
  const manifest = readJson<PackageJson>(`packages/${name}/package.json`);

  test('says what it is', () => {
    expect(manifest).toMatchObject({ name: `@orb/${name}`, license: 'Apache-2.0', type: 'module' });
    expect(manifest.description?.length).toBeGreaterThan(10);
  });

  test('exports files that exist, its entry among them', () => {
    expect(manifest.exports).toHaveProperty(['.']);
    const targets = Object.values(manifest.exports ?? {}).flatMap((target) =>
      typeof target === 'string' ? [target] : Object.values(target),
    );
    expect(targets.filter((target) => !files.has(`packages/${name}/${target.replace('./', '')}`))).toEqual([]);
  });

  test('fixes the version of every dependency', () => {
    const versions = { ...manifest.dependencies, ...manifest.devDependencies, ...manifest.optionalDependencies };
    expect(Object.entries(versions).filter(([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version))).toEqual([]);
  });
});

test.each(ports)('the port of %s exports its conformance suite, and every adapter runs it', (name) => {
  const { exports } = readJson<PackageJson>(`packages/${name}/package.json`);
  expect(exports).toHaveProperty(['./conformance']);
  const suites = [...files].filter(
    (file) => file.startsWith(`packages/${name}/src/`) && /\.conformance(\.integration)?\.test\.ts$/.test(file),
  );
  const adapters = Object.keys(exports ?? {}).filter((path) =>
    /^\.\/(wss|memory|direct|embedded|fabric|deno|container|disk|s3|http)$/.test(path),
  );
  expect(adapters).not.toEqual([]);
  expect(adapters.filter((path) => !suites.some((suite) => suite.includes(`/${path.slice(2)}/`)))).toEqual([]);
});

test('the lock fixes every package by its hash and names no registry', () => {
  interface Locked {
    readonly integrity?: string;
    readonly resolved?: string;
    readonly link?: boolean;
  }
  const { packages } = readJson<{ packages: Record<string, Locked> }>('package-lock.json');
  const foreign = Object.entries(packages).filter(([path, { link }]) => path.includes('node_modules/') && !link);
  expect(foreign.length).toBeGreaterThan(50);
  expect(foreign.filter(([, { integrity }]) => !integrity?.startsWith('sha512-')).map(([path]) => path)).toEqual([]);
  expect(
    Object.entries(packages)
      .filter(([, { resolved }]) => resolved?.includes(':'))
      .map(([path]) => path),
  ).toEqual([]);
});

/** Left out of a lock, npm never installs it on the platform that needs it. */
test('the lock holds the programs of every platform that a package names', () => {
  const { packages } = readJson<{ packages: Record<string, { readonly version?: string }> }>('package-lock.json');
  const manifests = ['package.json', ...packageNames().map((name) => `packages/${name}/package.json`)];
  const named = manifests.flatMap((path) => Object.entries(readJson<PackageJson>(path).optionalDependencies ?? {}));
  expect(named.length).toBeGreaterThan(5);
  expect(named.filter(([name, version]) => packages[`node_modules/${name}`]?.version !== version)).toEqual([]);
});
