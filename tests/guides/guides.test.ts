import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';
import { readGuide } from './read-guide.ts';
import { Reader } from './reader.ts';

let reader: Reader | undefined;
afterEach(async () => {
  await reader?.end();
  reader = undefined;
});

/** Pages as somebody reads them, one after the other on one new computer. */
const readings = [
  ['README.md'],
  [
    'docs/guides/getting-started.md',
    'docs/guides/deploying.md',
    'docs/guides/calling.md',
    'docs/guides/lambda.md',
    'docs/guides/lending-a-computer.md',
    'docs/guides/keeping-a-copy-of-the-ledger.md',
  ],
  ['docs/guides/running-a-super-node.md'],
];

test.each(readings)(
  '%s: what the pages say to type works on a new computer, and shows what they show',
  { timeout: 240_000 },
  async (...pages) => {
    reader = await Reader.begin();
    for (const page of pages) await reader.follow(readGuide(page));
  },
);

test('every guide is read by this test', () => {
  const guides = readdirSync(fileURLToPath(new URL('../../docs/guides', import.meta.url)));
  const read = readings.flat().filter((page) => page.startsWith('docs/guides/'));
  expect(read.toSorted()).toEqual(guides.map((name) => `docs/guides/${name}`).toSorted());
  for (const page of readings.flat()) expect(readGuide(page).filter(({ shown }) => shown.length > 0).length).toBeGreaterThan(1);
});
