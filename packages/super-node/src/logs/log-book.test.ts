import { expect, test } from 'vitest';
import { LogBook, type LogEntry, type LogSource } from './log-book.ts';

const source = (fn: string, job = '1', node = 'n'): LogSource => ({
  function: fn,
  version: 'v',
  call: `call ${job}`,
  job,
  attempt: 1,
  node,
});
const texts = (entries: readonly LogEntry[]) => entries.map((entry) => ('text' in entry ? entry.text : `-${entry.dropped}`));
const book = (options: ConstructorParameters<typeof LogBook>[0] = {}) => new LogBook(options, { nowMs: () => 1_000 });

test('keeps the newest entries of each function, and reads on from where one was', () => {
  const logs = book({ perFunction: { entries: 3, chars: 1e6 } });
  for (const text of ['a', 'b', 'c', 'd']) logs.say(source('f'), 'info', text);
  logs.say(source('g'), 'info', 'other');
  const all = logs.read('f', 0, 100);
  expect(texts(all)).toEqual(['b', 'c', 'd']);
  expect(texts(logs.read('f', all[1]!.seq, 100))).toEqual(['d']);
  expect(texts(logs.read('f', 0, 1))).toEqual(['d']);
  expect(logs.read('f', 0, 0)).toEqual([]);
  expect(logs.read('unknown', 0, 10)).toEqual([]);
});

test('long lines push out more: text is bounded for each function and in all, the quiet ones going first', () => {
  const logs = book({ perFunction: { entries: 1_000, chars: 5_000 }, chars: 12_000 });
  for (let i = 0; i < 10; i++) logs.say(source('f'), 'info', `${i}`.repeat(1_000));
  expect(logs.read('f', 0, 100).length).toBe(3);
  for (const fn of ['g', 'h', 'i', 'j']) for (let i = 0; i < 10; i++) logs.say(source(fn), 'info', 'x'.repeat(1_000));
  expect(['f', 'g', 'h', 'i', 'j'].map((fn) => logs.read(fn, 0, 100).length)).toEqual([0, 0, 3, 3, 3]);
});

test('a failure that the function wrote itself, with its stack, is not said again; another job’s is', () => {
  const logs = book();
  const lines = [['error', 'TypeError: no luck\n    at hello (function.js:2:9)']] as ['error', string][];
  logs.take('n', { jobs: [{ job: '1', lines, dropped: 0 }] }, () => source('f', '1', 'n'));
  logs.sayFailure(source('f', '1'), 'no luck');
  logs.sayFailure(source('f', '2'), 'no luck');
  logs.sayFailure(source('f', '1'), 'took too long');
  expect(texts(logs.read('f', 0, 100))).toEqual([lines[0]![1], 'no luck', 'took too long']);
});

test('a node writes only for jobs of its own, also when they have just ended', () => {
  const logs = book();
  const lines = (job: string, text: string) => ({ jobs: [{ job, lines: [['info', text] as ['info', string]], dropped: 0 }] });
  logs.take('n', lines('1', 'running'), () => source('f', '1', 'n'));
  logs.take('n', lines('1', 'just over'), () => undefined);
  logs.take('mallory', lines('1', 'forged'), () => undefined);
  logs.take('n', lines('2', 'nobody knows it'), () => undefined);
  logs.take('n', { jobs: [{ job: '1', lines: [], dropped: 7 }] }, () => undefined);
  expect(texts(logs.read('f', 0, 100))).toEqual(['running', 'just over', '-7']);
});

test('followers hear each new entry of their function until they stop, and are not more than a few', () => {
  const logs = book({ followers: { perFunction: 2, all: 3 } });
  const heard: LogEntry[] = [];
  const stop = logs.follow('f', (entry) => heard.push(entry));
  logs.say(source('f'), 'warn', 'a');
  logs.say(source('g'), 'warn', 'not mine');
  logs.follow('f', () => undefined);
  expect(() => logs.follow('f', () => undefined)).toThrow('Too many follow');
  logs.follow('g', () => undefined);
  expect(() => logs.follow('h', () => undefined)).toThrow('Too many follow');
  stop();
  stop();
  logs.follow('h', () => undefined);
  logs.say(source('f'), 'warn', 'b');
  expect(texts(heard)).toEqual(['a']);
});
