import { PassThrough } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { cleanText } from './clean-text.ts';
import { formatBytes, formatMoney, formatUs } from './format.ts';
import { renderTimeline } from './job-timeline.ts';
import { createProgress } from './progress.ts';
import { createStyle } from './style.ts';
import { StreamPrinter } from './stream-printer.ts';
import { renderTable } from './table.ts';
import { Terminal } from './terminal.ts';

const plain = createStyle(false);

test('text from elsewhere cannot move the cursor, clear the screen, or turn reading around', () => {
  expect(cleanText('a\u001b[2Jb\rc\u202ed\u0007')).toBe('a\ufffd[2Jb\ufffdc\ufffdd\ufffd');
  expect(cleanText('line 1\nline 2\tx', { multiline: true })).toBe('line 1\nline 2\tx');
  expect(cleanText('line 1\nline 2')).toBe('line 1\ufffdline 2');
  expect(cleanText('x'.repeat(100), { limit: 10 })).toBe(`${'x'.repeat(10)}…`);
});

test('a table aligns coloured cells by what is seen, and narrows only its flexible columns', () => {
  const colour = createStyle(true);
  const columns = [{ title: 'name' }, { title: 'n', align: 'right' }, { title: 'long', flexible: true }] as const;
  const rows = [
    [colour.good('ab'), '5', 'x'.repeat(100)],
    ['abcdef', '12345', 'y'],
  ];
  const lines = renderTable(columns, rows, plain, 40).split('\n');
  expect(lines).toHaveLength(3);
  expect(lines[2]).toBe('abcdef  12345  y');
  expect(lines[1]).toContain('…');
  expect(lines[0]!.indexOf('n', 4)).toBe(lines[2]!.indexOf('5'));
});

test('times, bytes and money read as people write them', () => {
  expect([999, 1_500, 250_000, 12_345_678, 11_520_000_000].map(formatUs)).toEqual(['999 µs', '1.5 ms', '250 ms', '12.35 s', '3 h 12 min']);
  expect([12, 2_048, 3_500_000].map(formatBytes)).toEqual(['12 B', '2.0 KiB', '3.3 MiB']);
  expect([formatMoney(1_000_000_000n), formatMoney('1500000000')]).toEqual(['1 credit', '1.5 credits']);
});

test('a timeline shows every time ChainFaaS names, and says which are not known yet', () => {
  const lines = renderTimeline({ prcUs: 1_000, prvUs: 5_000, cmpUs: 9_000, rspUs: 10_500, bilUs: undefined }, plain).split('\n');
  expect(lines.map((line) => line.trim().slice(0, 5))).toEqual(['T_prc', 'T_prv', 'T_cmp', 'T_rsp', 'T_bil']);
  expect(lines[3]).toContain('█'.repeat(40));
  expect(lines[4]).toContain('not paid yet');
});

test('output that is printed as it comes: bytes to a pipe, clean text to a person, and a split character stays whole', async () => {
  const printed = async (isTTY: boolean, ...pieces: Uint8Array[]) => {
    const stdout = Object.assign(new PassThrough(), { isTTY });
    const printer = new StreamPrinter(new Terminal({ stdin: new PassThrough(), stdout, stderr: new PassThrough(), env: {} }));
    for (const piece of pieces) await printer.print(piece);
    printer.end();
    return stdout.read() as Buffer;
  };
  const euro = Buffer.from('€');
  expect((await printed(true, Buffer.from('a\u001b[2J'), euro.subarray(0, 2), euro.subarray(2))).toString()).toBe('a\ufffd[2J€');
  expect(await printed(false, Uint8Array.of(0, 255), Uint8Array.of(1))).toEqual(Buffer.of(0, 255, 1));
  await expect(printed(true, Uint8Array.of(0, 255))).rejects.toMatchObject({
    code: 'invalid-request',
    hint: expect.stringContaining('> FILE'),
  });
  await expect(printed(true, euro.subarray(0, 2))).rejects.toMatchObject({ code: 'invalid-request' });
});

describe('a long step that is told as it goes', () => {
  const run = (isTTY: boolean, quiet = false) => {
    const stderr = Object.assign(new PassThrough(), { isTTY, columns: 80 });
    const progress = createProgress(
      new Terminal({ stdin: new PassThrough(), stdout: new PassThrough(), stderr, env: { NO_COLOR: '1' } }),
      quiet,
    );
    progress.step('Seeding');
    for (const share of [0, 0.1, 0.3, 0.4, 0.9, 1]) progress.advance(`at ${share}`, share);
    progress.done('Seeded');
    return String(stderr.read() ?? '');
  };

  test('is a line at its begin and at each further quarter where nothing moves', () => {
    expect(run(false)).toBe('  at 0\n  at 0.3\n  at 0.9\n  at 1\n✓ Seeded\n');
  });

  test('is a bar on a terminal', () => {
    const shown = run(true);
    for (const share of [0, 0.1, 0.3, 0.4, 0.9, 1]) expect(shown).toContain(`at ${share}`);
    expect(shown).toContain('━'.repeat(24));
    expect(shown.endsWith('✓ Seeded\n')).toBe(true);
  });

  test('is nothing beside JSON', () => {
    expect(run(true, true)).toBe('');
  });
});
