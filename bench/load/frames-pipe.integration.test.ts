import { expect, test } from 'vitest';
import { FramesPipe } from './frames-pipe.ts';

test('answers of a process come to their calls, of any size, many at once', async () => {
  const pipe = new FramesPipe('/bin/cat', [], {});
  const bodies = [0, 1, 200, 70_000, 1_000_000, 5].map((size, index) => Buffer.alloc(size, index));
  const answers = await Promise.all(bodies.map((body) => pipe.call(body)));
  for (const [index, answer] of answers.entries()) expect(answer.equals(bodies[index]!)).toBe(true);
  expect((await pipe.call(Buffer.from('once more'))).toString()).toBe('once more');
  await pipe.close();
});

test('a process that ends leaves no call without an end', async () => {
  const pipe = new FramesPipe('/bin/false', [], {});
  await expect(pipe.call(Buffer.from('anybody there?'))).rejects.toThrow('has ended');
});
