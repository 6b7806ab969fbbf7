import { appendFileSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LinuxSurroundings } from './linux-surroundings.ts';

let root: string;
let nowMs: number;
let around: LinuxSurroundings | undefined;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'orb-linux-'));
  nowMs = 1_800_000_000_000;
});
afterEach(() => {
  around?.close();
  rmSync(root, { recursive: true, force: true });
});

const file = (path: string, text: string) => {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
};
const open = (said = '') =>
  (around = new LinuxSurroundings({ root, loginctl: ['printf', said.replaceAll('%', '%%')], nowMs: () => nowMs }));
const supply = (name: string, fields: Record<string, string>) => {
  for (const [field, value] of Object.entries(fields)) file(`sys/class/power_supply/${name}/${field}`, `${value}\n`);
};
const terminal = (path: string, touchedMs: number) => {
  file(path, '');
  utimesSync(join(root, path), new Date(touchedMs), new Date(touchedMs));
};
const keyboard = `I: Bus=0011 Vendor=0001
N: Name="AT Translated Set 2 keyboard"
H: Handlers=sysrq kbd event0 leds

N: Name="Lid Switch"
H: Handlers=event1

N: Name="USB Mouse"
H: Handlers=mouse0 event2
`;

describe('the load', () => {
  test('is what the kernel counted, idle and waiting for disks apart', async () => {
    file('proc/stat', 'cpu  100 20 30 999999 7777 5 3 44 0 0\ncpu0 1 1 1 1\n');
    expect(await open().busyUs()).toBe((100 + 20 + 30 + 5 + 3) * 10_000);
  });

  test('is unknown where the file is not there or says something else', async () => {
    expect(await open().busyUs()).toBeUndefined();
    file('proc/stat', 'intr 1 2 3\n');
    expect(await open().busyUs()).toBeUndefined();
  });
});

describe('the battery', () => {
  const battery = { type: 'Battery', status: 'Discharging' };
  test.each([
    ['none', {}, false],
    ['discharging', { BAT0: battery }, true],
    ['charging', { BAT0: { ...battery, status: 'Charging' } }, false],
    ['full, on mains', { BAT0: { ...battery, status: 'Full' }, AC: { type: 'Mains', online: '1' } }, false],
    ['discharging with the charger out', { BAT0: battery, AC: { type: 'Mains', online: '0' } }, true],
    ['one of two discharging on a weak charger', { BAT0: battery, usb: { type: 'USB', online: '1' } }, false],
    ['of a mouse', { hidpp: { ...battery, scope: 'Device' } }, false],
  ])('%s', async (_, supplies, expected) => {
    mkdirSync(join(root, 'sys/class/power_supply'), { recursive: true });
    for (const [name, fields] of Object.entries(supplies)) supply(name, fields);
    expect(await open().onBattery()).toBe(expected);
  });

  test('is unknown without the folder', async () => {
    expect(await open().onBattery()).toBeUndefined();
  });
});

describe('idleness', () => {
  test('is that of the terminals on a server, the newest of them', async () => {
    terminal('dev/tty1', nowMs - 90_000);
    terminal('dev/pts/0', nowMs - 30_000);
    terminal('dev/pts/ptmx', nowMs);
    const surroundings = open();
    expect(await surroundings.idleMs()).toBe(30_000);
    expect(surroundings.idleFrom).toBe('terminals');
  });

  test('is what logind says where the devices cannot be read', async () => {
    file('proc/bus/input/devices', keyboard);
    const idle = open(`IdleHint=yes\nIdleSinceHint=${(nowMs - 45_000) * 1_000}\n`);
    expect(await idle.idleMs()).toBe(45_000);
    expect(await open(`IdleHint=no\nIdleSinceHint=0\n`).idleMs()).toBe(0);
  });

  test('of a terminal counts beside logind', async () => {
    file('proc/bus/input/devices', keyboard);
    terminal('dev/pts/3', nowMs - 5_000);
    expect(await open(`IdleHint=yes\nIdleSinceHint=${(nowMs - 45_000) * 1_000}\n`).idleMs()).toBe(5_000);
  });

  test('is unknown on a desktop that tells nothing', async () => {
    file('proc/bus/input/devices', keyboard);
    terminal('dev/tty1', nowMs - 90_000);
    expect(await open('').idleMs()).toBeUndefined();
    expect(await open('Failed to connect to bus').idleMs()).toBeUndefined();
  });

  test('is that of keyboard and mouse where they can be read; what was typed is forgotten', async () => {
    file('proc/bus/input/devices', keyboard);
    for (const name of ['event0', 'event1', 'event2']) file(`dev/input/${name}`, '');
    const surroundings = open();
    nowMs += 60_000;
    expect(await surroundings.idleMs()).toBe(60_000);
    expect(surroundings.idleFrom).toContain('input devices');
    appendFileSync(join(root, 'dev/input/event2'), 'x'.repeat(10_000));
    expect(await surroundings.idleMs()).toBe(0);
    nowMs += 5_000;
    expect(await surroundings.idleMs()).toBe(5_000);
    // A lid is no hand.
    appendFileSync(join(root, 'dev/input/event1'), 'x');
    expect(await surroundings.idleMs()).toBe(5_000);
  });
});
