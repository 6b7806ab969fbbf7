import { expect, test } from 'vitest';
import { allFiles, linesMatching, read } from './tree.ts';

const texts = allFiles().filter((file) => !/\.(png|jpg|ico|wasm|woff2)$/.test(file) && file !== 'package-lock.json');

test('no path of one machine is in the tree', () => {
  const folders = ['work', 'root', 'farm', 'Users'].join('|');
  expect(texts.flatMap((file) => linesMatching(file, new RegExp(`(^|[^A-Za-z0-9_.])/(${folders})/`)))).toEqual([]);
});

test('no token or password is in the tree', () => {
  const secrets = [
    '\\b(password|passphrase|secret|token)["\']?\\s*[:=]\\s*["\'][A-Za-z0-9+/]{12,}["\']',
    '\\bAKIA[0-9A-Z]{16}\\b',
    '\\bgh[pousr]_[A-Za-z0-9]{36}\\b',
    '\\bnpm_[A-Za-z0-9]{36}\\b',
    '\\bxox[abprs]-[A-Za-z0-9-]{10,}',
    '_authToken\\s*=',
    '\\beyJhbGciOi[A-Za-z0-9_-]{10,}',
  ];
  expect(texts.flatMap((file) => linesMatching(file, new RegExp(secrets.join('|'), 'i')))).toEqual([]);
});

test('no private key is in the tree: a key is its banner and what follows', () => {
  const key = /BEGIN ([A-Z]+ )?PRIVATE KEY-----(\\n|["'`+\s])*[A-Za-z0-9+/=]{16}/;
  expect(texts.filter((file) => key.test(read(file)))).toEqual([]);
});

test('no registry is named: everybody installs from their own', () => {
  expect(texts.flatMap((file) => linesMatching(file, /^\s*(@[\w-]+:)?registry\s*=|https?:\/\/registry\./))).toEqual([]);
});
