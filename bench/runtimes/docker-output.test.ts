import { Readable } from 'node:stream';
import { expect, test } from 'vitest';
import { DockerOutput } from './docker-output.ts';

const framed = (text: string) => {
  const head = Buffer.alloc(8);
  head[0] = 1;
  head.writeUInt32BE(text.length, 4);
  return Buffer.concat([head, Buffer.from(text)]);
};

async function readAll(output: DockerOutput, bytes: number): Promise<string> {
  let text = '';
  while (text.length < bytes) text += Buffer.from(await output.next()).toString();
  return text;
}

test('output is the same however it is cut on its way', async () => {
  const whole = Buffer.concat(['hello ', 'w', 'orld, once more'].map(framed));
  for (const size of [1, 3, 8, 9, whole.length]) {
    const pieces = Array.from({ length: Math.ceil(whole.length / size) }, (_, index) => whole.subarray(index * size, (index + 1) * size));
    expect(await readAll(new DockerOutput(Readable.from(pieces)), 22)).toBe('hello world, once more');
  }
});

test('output that ends too early is an error', async () => {
  const output = new DockerOutput(Readable.from([framed('hello').subarray(0, 10)]));
  await expect(readAll(output, 5)).rejects.toThrow('has ended');
});
