import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { StillSurroundings } from '../../test/still-surroundings.ts';
import { Tally } from '../job/tally.ts';
import { Lending } from '../offer/lending.ts';
import { checkSettings, type SettingsInput } from '../settings/settings.ts';
import { Conditions } from './conditions.ts';
import { DayBook } from './day-book.ts';

let folder: string;
let nowMs: number;
let ownUs: number;
let settings: SettingsInput;
let around: StillSurroundings;
let lending: Lending;
let tally: Tally;
let day: DayBook;
let conditions: Conditions;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'orb-day-'));
  // A Wednesday noon by this computer's clock.
  nowMs = new Date(2026, 0, 7, 12).getTime();
  ownUs = 0;
  settings = {};
  around = new StillSurroundings();
  lending = new Lending({ slots: 4, memoryMiB: 1_024, rate: 10n });
  tally = new Tally({ nowMs: () => nowMs });
  day = new DayBook({ path: join(folder, 'day.json'), nowMs: () => nowMs });
  conditions = new Conditions(
    { cores: 2 },
    {
      settings: () => checkSettings(settings),
      surroundings: around,
      lending,
      tally,
      day,
      ownCpuUs: () => ownUs,
      nowMs: () => nowMs,
      clockMs: () => nowMs,
    },
  );
});
afterEach(async () => {
  await day.save();
  rmSync(folder, { recursive: true, force: true });
});

const reasons = async () => {
  await conditions.look();
  return lending.resting.map(({ reason }) => reason);
};
/** Time passes; other programs and our own use this share of both cores. */
const pass = async (seconds: number, others: number, own = 0) => {
  for (let left = seconds; left > 0; left -= 5) {
    nowMs += 5_000;
    ownUs += 5e6 * 2 * own;
    around.busy = (around.busy ?? 0) + 5e6 * 2 * (others + own);
    await conditions.look();
  }
};

describe('lending rests', () => {
  test('outside its hours', async () => {
    settings = { hours: '22:00-07:00' };
    expect(await reasons()).toEqual(['hours']);
    expect(lending.accepting).toBe(false);
    nowMs += 11 * 3_600_000;
    expect(await reasons()).toEqual([]);
    expect(lending.accepting).toBe(true);
  });

  test('on its battery, unless the owner lends that too', async () => {
    around.battery = true;
    expect(await reasons()).toEqual(['battery']);
    settings = { onBattery: 'lend' };
    expect(await reasons()).toEqual([]);
    settings = {};
    around.battery = undefined;
    expect(await reasons()).toEqual([]);
  });

  test('while somebody uses the computer, where that is to count', async () => {
    around.idle = 1_000;
    expect(await reasons()).toEqual([]);
    settings = { onlyWhenIdleMs: 60_000 };
    expect(await reasons()).toEqual(['in-use']);
    around.idle = 60_000;
    expect(await reasons()).toEqual([]);
  });

  test('above the share that other programs may use, and begins again well below it', async () => {
    settings = { otherLoadPercent: 50 };
    await pass(30, 0.4);
    expect(lending.accepting).toBe(true);
    await pass(60, 0.7);
    expect(lending.resting).toMatchObject([{ reason: 'other-load' }]);
    await pass(60, 0.45);
    expect(lending.accepting).toBe(false);
    await pass(60, 0.3);
    expect(lending.accepting).toBe(true);
  });

  test('not for what its own functions use', async () => {
    settings = { otherLoadPercent: 10 };
    await pass(60, 0.01, 0.95);
    expect(lending.accepting).toBe(true);
    expect(conditions.seen.otherLoadPercent).toBeCloseTo(1, 0);
  });

  test('on a computer whose idleness nobody knows, by its load', async () => {
    settings = { onlyWhenIdleMs: 60_000 };
    await pass(60, 0.1);
    expect(lending.accepting).toBe(true);
    await pass(60, 0.4);
    expect(lending.resting).toMatchObject([{ reason: 'other-load' }]);
  });

  test('for every reason at once, and tells those who follow only when it begins or ends', async () => {
    let told = 0;
    lending.onChange(() => told++);
    settings = { hours: 'sat' };
    around.battery = true;
    expect(await reasons()).toEqual(['hours', 'battery']);
    around.battery = false;
    expect(await reasons()).toEqual(['hours']);
    settings = {};
    expect(await reasons()).toEqual([]);
    expect(told).toBe(2);
  });
});

describe('the day', () => {
  test('is kept in halves of hours, over restarts', async () => {
    await pass(5, 0);
    tally.finished('ok', 2_000_000, 100, 10n);
    await pass(3_600, 0.25, 0.5);
    lending.pause();
    await pass(1_800, 0);
    await conditions.stop();
    const [first, second, third] = new DayBook({ path: join(folder, 'day.json'), nowMs: () => nowMs }).parts;
    expect(first).toMatchObject({ jobs: 1, units: '2000000' });
    expect(second!.ownSeconds / second!.seconds).toBeCloseTo(1);
    expect(second!.otherSeconds / second!.seconds).toBeCloseTo(0.5);
    expect(second!.lentSeconds).toBeCloseTo(1_800);
    expect(third!.lentSeconds).toBeLessThan(30);
  });

  test('holds 24 hours, and no more', async () => {
    await pass(5, 0);
    for (let i = 0; i < 60; i++) {
      nowMs += 1_795_000;
      await pass(5, 0.1);
    }
    expect(day.parts.length).toBe(48);
    nowMs += 20 * 3_600_000;
    expect(day.parts.length).toBe(8);
  });

  test('of a damaged file begins anew', () => {
    writeFileSync(join(folder, 'day.json'), '{"v":1,"parts":[{"fromMs":-1}]}');
    expect(new DayBook({ path: join(folder, 'day.json'), nowMs: () => nowMs }).parts).toEqual([]);
    expect(readFileSync(join(folder, 'day.json'), 'utf8')).toContain('-1');
  });
});
