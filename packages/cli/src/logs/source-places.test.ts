import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { bundleSource } from '../deploy/bundle-source.ts';
import { SourcePlaces } from './source-places.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'orb-places-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const source = `import { half } from './half.ts';

/** A comment that the bundle has not. */
export default (input: { n: number }) => {
  if (!input.n) throw new TypeError('n is missing');
  return half(input.n);
};
`;

test('a place in the bundle becomes the place in the source, in whichever file it was', async () => {
  await writeFile(join(folder, 'hello.ts'), source);
  await writeFile(
    join(folder, 'half.ts'),
    `export function half(n: number): number {\n  if (n % 2) throw new RangeError('odd');\n  return n / 2;\n}\n`,
  );
  const { code, sourceMap } = await bundleSource(join(folder, 'hello.ts'));
  await writeFile(join(folder, 'map.json'), sourceMap!);
  const places = new SourcePlaces(() => join(folder, 'map.json'));
  const lines = Buffer.from(code).toString().split('\n');
  const row = lines.findIndex((line) => line.includes('new RangeError'));
  const at = (words: string) => `${row + 1}:${lines[row]!.indexOf(words) + 1}`;
  expect(places.translate(`at half (function.js:${at('new RangeError')})`, 'v')).toBe('at half (half.ts:2:20)');
  expect(places.translate(`at default (function.js:${at('new TypeError')})`, 'v')).toBe('at default (hello.ts:5:23)');
  const [line, column] = at('new TypeError').split(':');
  expect(places.translate(`(function.js, <anonymous>:${Number(line) + 2}:${column})`, 'v')).toBe('(hello.ts:5:23)');
});

test('without a map, and for a place that there is not, the text stays as it is', async () => {
  const text = 'at half (function.js:1:2) and (function.js:999999999:1)';
  expect(new SourcePlaces(() => join(folder, 'none.json')).translate(text, 'v')).toBe(text);
  expect(new SourcePlaces(() => join(folder, 'none.json')).translate(text, undefined)).toBe(text);
  await writeFile(join(folder, 'broken.json'), '{"version":3');
  expect(new SourcePlaces(() => join(folder, 'broken.json')).translate(text, 'v')).toBe(text);
});
