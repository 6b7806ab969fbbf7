import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { bundleSource } from './bundle-source.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'orb-bundle-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function bundle(source: string, packages: Readonly<Record<string, Readonly<Record<string, string>>>> = {}): Promise<string> {
  for (const [name, files] of Object.entries(packages)) {
    const place = join(folder, 'node_modules', name);
    await mkdir(place, { recursive: true });
    for (const [file, text] of Object.entries(files)) await writeFile(join(place, file), text);
  }
  const file = join(folder, 'source.mjs');
  await writeFile(file, source);
  const { code, warnings } = await bundleSource(file);
  expect(warnings).toEqual([]);
  return new TextDecoder().decode(code);
}

test('a module names Node’s built-ins in full: the sandbox knows them by no other name', async () => {
  const code = await bundle(
    `import fs from 'fs'; import { pipeline } from 'stream/promises'; await 1; export default () => [fs, pipeline];`,
  );
  expect(code).toContain('"node:fs"');
  expect(code).toContain('"node:stream/promises"');
});

test('import.meta of a package is a file, whichever way the bundle is loaded', async () => {
  for (const wait of ['', 'await 1;']) {
    const code = await bundle(`${wait} export default () => [import.meta.url, import.meta.dirname];`);
    expect(code).toContain('file:///function.js');
    expect(code).not.toContain('import.meta');
  }
});

test('a package that is required gives what its main exports, as in Node, although it has a module too', async () => {
  const code = await bundle(`import { createRequire } from 'node:module'; import answer from 'caller'; export default () => answer;`, {
    caller: { 'package.json': '{"main":"index.js"}', 'index.js': `module.exports = require('double')(21);` },
    double: {
      'package.json': '{"main":"main.js","module":"module.js"}',
      'main.js': 'module.exports = (n) => n * 2;',
      'module.js': 'export default (n) => n * 2;',
    },
  });
  const module = { exports: {} as { default?: () => unknown } };
  // oxlint-disable-next-line typescript/no-implied-eval -- as the sandbox loads a CommonJS bundle
  new Function('module', 'exports', 'require', code)(module, module.exports, () => ({ createRequire: undefined }));
  expect(module.exports.default?.()).toBe(42);
});

test('a package may be called as a built-in is, when it is asked for with a slash', async () => {
  const code = await bundle(`import mine from 'punycode/'; export default () => mine;`, {
    punycode: { 'package.json': '{"main":"index.js"}', 'index.js': `module.exports = 'the package';` },
  });
  expect(code).toContain('the package');
});
