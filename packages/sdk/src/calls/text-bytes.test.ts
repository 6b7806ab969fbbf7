import { expect, test } from 'vitest';
import { TextBytes } from './text-bytes.ts';

test('texts stay as they were made, however many, long and foreign they are', () => {
  const texts = new TextBytes();
  const made = Array.from({ length: 3_000 }, (_, i) => `${i} ${'é😀\u0000x'.repeat(i % 97)} ${'long'.repeat(i % 100 === 0 ? 9_000 : 0)}`);
  const bytes = made.map((text) => texts.encode(text));
  expect(bytes.map((one) => new TextDecoder().decode(one))).toEqual(made);
});

test('what is written into one text’s bytes shows in no other', () => {
  const texts = new TextBytes();
  const [first, second, third] = ['first', 'second', 'third'].map((text) => texts.encode(text));
  second!.fill(0);
  expect([first, third].map((one) => new TextDecoder().decode(one))).toEqual(['first', 'third']);
});

test('a text that has no end becomes what TextEncoder makes of it', () => {
  const text = 'half a pair: \ud83d';
  expect(new TextBytes().encode(text)).toEqual(new TextEncoder().encode(text));
});
