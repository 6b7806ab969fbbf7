import { posix } from 'node:path';
import { expect, test } from 'vitest';
import { referenceDocs } from '../../scripts/reference-docs.ts';
import { allFiles, filesOf, read } from './tree.ts';

const pages = filesOf('.md');

test('every link between pages leads to a file, and to a heading of it where one is named', () => {
  const files = new Set(allFiles());
  const isThere = (path: string) => files.has(path) || [...files].some((file) => file.startsWith(`${path.replace(/\/$/, '')}/`));
  const broken = pages.flatMap((page) =>
    linksOf(page)
      .filter((link) => !/^[a-z]+:/.test(link))
      .filter((link) => {
        const [path = '', heading] = link.split('#');
        const target = path === '' ? page : posix.normalize(posix.join(posix.dirname(page), path));
        return !isThere(target) || (heading !== undefined && target.endsWith('.md') && !headingsOf(target).includes(heading));
      })
      .map((link) => `${page}: ${link}`),
  );
  expect(broken).toEqual([]);
});

test('every decision has a number of its own', () => {
  const decisions = pages.filter((page) => page.startsWith('docs/decisions/') && !page.endsWith('README.md'));
  const names = decisions.map((page) => posix.basename(page));
  expect(names.filter((name) => !/^\d{4}-[a-z0-9-]+\.md$/.test(name))).toEqual([]);
  const numbers = names.map((name) => name.slice(0, 4));
  expect(numbers.filter((number, index) => numbers.indexOf(number) !== index)).toEqual([]);
});

test('every page of the documentation is reached from its index', () => {
  const guides = pages.filter((page) => /^docs\/(guides|reference)\//.test(page)).map((page) => page.replace('docs/', ''));
  const listed = linksOf('docs/README.md');
  expect(guides.filter((page) => !listed.includes(page))).toEqual([]);
});

test.each(Object.entries(referenceDocs()))('%s says what the code does (npm run docs writes it)', (page, expected) => {
  expect(read(page)).toBe(expected);
});

test('scripts that the pages name exist', () => {
  const { scripts } = JSON.parse(read('package.json'));
  const named = pages.flatMap((page) =>
    [...read(page).matchAll(/\bnpm (?:run ([a-z:]+)|(start|test)\b)/g)].map((match) => match[1] ?? match[2]!),
  );
  expect(named.length).toBeGreaterThan(5);
  expect(named.filter((name) => !(name in scripts))).toEqual([]);
});

test('commands and options that the pages show are those that orb has', () => {
  const known = new Map<string, string>();
  const everywhere = /^## Options of every command\n([\s\S]*?)^## /m.exec(read('docs/reference/cli.md'))![1]!;
  for (const [, command, rest] of read('docs/reference/cli.md').matchAll(/^### `orb ([a-z-]+(?: [a-z]+)?)\b[^\n]*\n([\s\S]*?)(?=^##)/gm))
    known.set(command!, everywhere + rest!);
  const shown = pages.flatMap((page) =>
    [...read(page).matchAll(/^(?:echo .* \| )?(?:npm run orb --|orb) ([a-z].*)$/gm)].map((match) => match[1]!.replace(/#.*/, '')),
  );
  expect(shown.length).toBeGreaterThan(30);
  const wrong = shown.filter((line) => {
    const [first = '', second = ''] = line.split(' ');
    const rest = known.get(`${first} ${second}`) ?? known.get(first);
    return rest === undefined || [...line.matchAll(/ (--[a-z-]+)/g)].some((option) => !rest.includes(option[1]!));
  });
  expect(wrong).toEqual([]);
});

function linksOf(page: string): string[] {
  const prose = read(page)
    .replace(/```[\s\S]*?```/g, '')
    .replace(/`[^`\n]*`/g, '');
  const links = [...prose.matchAll(/\]\(<?([^)\s>]+)>?(?: "[^"]*")?\)/g), ...prose.matchAll(/(?:src|href|srcset)="([^"]+)"/g)];
  return links.map((match) => match[1]!);
}

/** Headings as GitHub makes anchors of them. */
function headingsOf(page: string): string[] {
  const prose = read(page).replace(/```[\s\S]*?```/g, '');
  return [...prose.matchAll(/^#+ (.+)$/gm)].map((match) =>
    match[1]!
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .trim()
      .replace(/\s/g, '-'),
  );
}
