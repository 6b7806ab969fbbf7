import { utf8 } from '@orb/protocol';
import { expect, test } from 'vitest';
import { LineCutter, StreamReader, Tail } from './stream-reader.ts';

const frame = (stream: number, text: string) => {
  const header = Buffer.alloc(8);
  header[0] = stream;
  header.writeUInt32BE(Buffer.byteLength(text), 4);
  return Buffer.concat([header, Buffer.from(text)]);
};

test('the streams of a container are told apart wherever the bytes are cut', () => {
  const bytes = Buffer.concat([frame(1, 'out'), frame(2, 'error'), frame(1, ''), frame(1, ' more'), frame(7, 'unknown'), frame(2, '!')]);
  for (let size = 1; size <= bytes.length; size++) {
    const said = ['', ''];
    const reader = new StreamReader({
      stdout: (piece) => (said[0] += Buffer.from(piece).toString()),
      stderr: (piece) => (said[1] += Buffer.from(piece).toString()),
    });
    for (let at = 0; at < bytes.length; at += size) reader.push(bytes.subarray(at, at + size));
    expect(said).toEqual(['out more', 'error!']);
  }
});

test('only the end of a text without an end is kept', () => {
  const tail = new Tail(10);
  for (let i = 0; i < 1_000; i++) tail.push(Buffer.from(`line ${i}\n`));
  expect(tail.toString()).toBe('\nline 999\n');
});

test('what is printed comes as lines, wherever it was cut, and never longer than the limit', () => {
  const said: string[] = [];
  const cutter = new LineCutter(8, (line) => said.push(line));
  for (const byte of utf8('one\r\n\n  \ntwö\nno end here')) cutter.push(Uint8Array.of(byte));
  expect(said).toEqual(['one', 'twö', 'no end h']);
  cutter.push(utf8('\n'));
  expect(said.at(-1)).toBe('ere');
});
