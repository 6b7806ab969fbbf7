import { posix } from 'node:path';
import { expect, test } from 'vitest';
import { allFiles, filesOf, isTest, linesMatching, packageOf, read } from './tree.ts';

const code = filesOf('.ts', '.mts', '.js', '.mjs', '.sh');
const sources = filesOf('.ts').filter((file) => packageOf(file) !== undefined && !isTest(file));

test('no source file has more than 500 lines', () => {
  const long = code.map((file) => ({ file, lines: read(file).trimEnd().split('\n').length })).filter(({ lines }) => lines > 500);
  expect(long).toEqual([]);
});

test('names of folders and source files are in kebab-case', () => {
  const kebab = /^[a-z0-9]+(-[a-z0-9]+)*$/;
  const wrong = code.filter((file) => {
    const folders = posix
      .dirname(file)
      .split('/')
      .filter((folder) => folder !== '.' && folder !== '.ci');
    const name = posix.basename(file).replace(/(\.(integration|conformance))*(\.(test|config|bench|d))?\.[a-z]+$/, '');
    return ![...folders, name].every((part) => kebab.test(part));
  });
  expect(wrong).toEqual([]);
});

test('no file is named for being useful: a name says what is in it', () => {
  expect(allFiles().filter((file) => /(^|[/.-])(utils?|helpers?|managers?|misc|common|stuff)([/.-]|$)/i.test(file))).toEqual([]);
});

test('no class or interface is called manager, helper, impl, or marked with an I', () => {
  const names = /\b(class|interface)\s+(\w*(Manager|Helper|Utils?|Impl)\b|I[A-Z][a-z]\w*\b)/;
  expect(sources.flatMap((file) => linesMatching(file, names))).toEqual([]);
});

test('only the cli writes to the console', () => {
  const silent = sources.filter((file) => packageOf(file) !== 'cli');
  expect(silent.flatMap((file) => linesMatching(file, /^(?!\s*(\*|\/\/)).*(?<!['"`\w.])console\.\w+\(/))).toEqual([]);
});

test('no module holds state that changes: it lives in objects that somebody made', () => {
  const mutable = /^(export )?(let|var) |^(export )?const \w+(: [^=]+)? = (new (Map|Set|WeakMap|Array)(<[^(]*>)?\(\)|\[\]|\{\});/;
  const found = sources.flatMap((file) => linesMatching(file, mutable));
  expect(found.filter((line) => !/: (Readonly|readonly )/.test(line))).toEqual([]);
});

test('no arrow function is assigned to a property on the way of a call: V8 puts such a one among old objects (decision 275)', () => {
  const rooms = /^packages\/(protocol|link|sdk|ledger|node|super-node|sandbox\/src\/host)\//;
  const assigned = /\.#?\w+ (\?\?|\|\|)?= (async )?(\([^()]*\)|\w+)(: [\w<>]+)? =>/;
  const once = ['packages/sdk/src/tokens-client.ts'];
  const onTheWay = sources.filter((file) => rooms.test(file) && !once.includes(file));
  expect(onTheWay.flatMap((file) => linesMatching(file, assigned))).toEqual([]);
});

test('whatever switches a check off says why, after two dashes', () => {
  const off = /(oxlint|eslint)-disable|@ts-(ignore|expect-error|nocheck)|oxfmt-ignore/;
  // Quoted, it is spoken of, as in this file.
  const spoken = /['"`/(|].*((oxlint|eslint)-disable|@ts-)/;
  const silent = code
    .flatMap((file) => linesMatching(file, off))
    .filter((line) => !/-- \S+ \S+/.test(line) && !spoken.test(line.replace(/^\S+ \/\/ ?/, '')));
  expect(silent).toEqual([]);
});

test('nothing is left unfinished in the code', () => {
  const words = new RegExp(`\\b(${['TO' + 'DO', 'FIX' + 'ME', 'X' + 'XX', 'HA' + 'CK'].join('|')})\\b|not ${'implemented'}`);
  expect(code.flatMap((file) => linesMatching(file, words))).toEqual([]);
});

test('tests do not sleep: they wait for the event', () => {
  const sleeps = /setTimeout\([^,]*, *\d[\d_]{2,}\)|sleep\(\d[\d_]{2,}/;
  expect(code.filter((file) => file.endsWith('.test.ts')).flatMap((file) => linesMatching(file, sleeps))).toEqual([]);
});
