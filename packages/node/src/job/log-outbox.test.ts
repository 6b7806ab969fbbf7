import { logBounds, logsSchema, type Logs } from '@orb/protocol';
import { expect, test } from 'vitest';
import { LogOutbox, type LogOutboxOptions } from './log-outbox.ts';

const [one, two] = ['1'.repeat(32), '2'.repeat(32)].map((allowance) => `${allowance}-1`) as [string, string];

function outbox(options: LogOutboxOptions = {}) {
  const sent: Logs[] = [];
  const clock = { now: 0 };
  const box = new LogOutbox({ flushMs: 5, ...options }, { send: (logs) => sent.push(logsSchema.parse(logs)), nowMs: () => clock.now });
  const lines = () => sent.flatMap(({ jobs }) => jobs.flatMap((each) => each.lines.map(([level, text]) => `${each.job[0]} ${level} ${text}`)));
  const dropped = (job: string) => sent.flatMap(({ jobs }) => jobs).reduce((sum, each) => sum + (each.job === job ? each.dropped : 0), 0);
  return { box, sent, clock, lines, dropped };
}

test('lines wait a moment for others, keep their order, and go before their job’s answer', async () => {
  const { box, sent, lines } = outbox();
  const version = {};
  box.write(one, version, 'info', 'a');
  box.write(two, version, 'warn', 'b');
  box.write(one, version, 'error', 'c');
  expect(sent).toEqual([]);
  box.end(two);
  expect(sent.length).toBe(1);
  expect(lines()).toEqual(['1 info a', '1 error c', '2 warn b']);
  box.end(one);
  expect(sent.length).toBe(1);
  box.write(one, version, 'debug', 'late');
  await expect.poll(() => lines().at(-1)).toBe('1 debug late');
});

test('no notice outgrows a header, whatever the lines hold', () => {
  const { box, sent, lines } = outbox({ burst: { lines: 1e6, bytes: 1e9 }, link: { lines: 1e6, bytes: 1e9 } });
  const nasty = ['\u0000', 'é', '\ud800', '😀', '"'].map((text) => text.repeat(logBounds.lineChars));
  for (const text of nasty) box.write(one, {}, 'info', text);
  for (let i = 0; i < 2_000; i++) box.write(`${'3'.repeat(32)}-${i + 1}`, {}, 'info', 'x');
  box.flush();
  expect(Math.max(...sent.map((logs) => Buffer.byteLength(JSON.stringify(logs))))).toBeLessThan(65_536);
  expect(lines().length).toBe(nasty.length + 2_000);
});

test('a flood is dropped and counted, spends its own budget and not that of others, and the count is told also when no line follows', async () => {
  const { box, clock, lines, dropped, sent } = outbox({ tellDroppedMs: 5 });
  const [loud, quiet] = [{}, {}];
  for (let i = 0; i < 5_000; i++) box.write(one, loud, 'info', 'flood');
  box.write(two, quiet, 'info', 'heard');
  box.end(one);
  box.end(two);
  expect(lines().filter((line) => line.startsWith('1')).length).toBe(1_000);
  expect(dropped(one)).toBe(4_000);
  expect(lines()).toContain('2 info heard');
  clock.now += 1_000;
  for (let i = 0; i < 500; i++) box.write(one, loud, 'info', 'again');
  box.end(one);
  expect(lines().filter((line) => line.endsWith('again')).length).toBe(200);
  expect(dropped(one)).toBe(4_300);
  // Ten thousand short jobs that may write nothing make no notices of their own.
  const before = sent.length;
  for (let i = 0; i < 10_000; i++) {
    box.write(`${'4'.repeat(32)}-${i + 1}`, loud, 'info', 'flood');
    box.end(`${'4'.repeat(32)}-${i + 1}`);
  }
  await expect.poll(() => dropped(one)).toBe(14_300);
  expect(sent.length - before).toBeLessThan(50);
});

test('many functions that flood together stay within what one link may carry', () => {
  const { box, sent } = outbox();
  for (let i = 0; i < 100; i++) for (let j = 0; j < 100; j++) box.write(one, [box, i], 'info', 'x'.repeat(1_000));
  box.flush();
  const bytes = sent.reduce((sum, logs) => sum + Buffer.byteLength(JSON.stringify(logs)), 0);
  expect(bytes).toBeLessThan(600_000);
});
