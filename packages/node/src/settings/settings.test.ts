import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sha256 } from '@orb/protocol';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { changeSettingsFile, OwnerSettings } from './owner-settings.ts';
import { changeRegistry, readRegistries } from './registries-file.ts';
import { readSettings, settingsPath } from './settings-file.ts';
import { checkSettings } from './settings.ts';
import { lendingTerms, lentLimits } from './terms.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'orb-settings-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('the owner’s settings', () => {
  const open = (forThisRun = {}) => new OwnerSettings({ folder, forThisRun });

  test('are the defaults until something is said, and outlive the node from then on', async () => {
    const settings = open();
    expect(settings.now).toMatchObject({ price: '10', hours: 'always', onBattery: 'pause', priority: 'lowest', accept: 'all' });
    await settings.change({ price: '12', hours: '22:00-07:00' });
    expect(open().now).toMatchObject({ price: '12', hours: '22:00-07:00' });
    expect(statSync(settingsPath(folder)).mode & 0o777).toBe(0o600);
  });

  test('of the command line hold above the file, are not written there, and give way to a change', async () => {
    await changeSettingsFile(folder, { price: '12', slots: 4 });
    const settings = open({ price: '20' });
    expect(settings.now).toMatchObject({ price: '20', slots: 4 });
    await settings.change({ slots: 5 });
    expect([settings.now.price, readSettings(folder)]).toEqual(['20', { price: '12', slots: 5 }]);
    await settings.change({ price: '30' });
    expect([settings.now.price, readSettings(folder).price]).toEqual(['30', '30']);
  });

  test('go back to their defaults, so that a later default holds', async () => {
    const settings = open();
    await settings.change({ price: '12' });
    await settings.change({ price: null });
    expect([settings.now.price, readSettings(folder)]).toEqual(['10', {}]);
  });

  test.each([
    [{ price: '-1' }, /price/],
    [{ slots: -1 }, /slots/],
    [{ hours: 'sometimes' }, /hours.*must be always/],
    [{ colour: 'red' }, /colour/i],
    [{ accept: 'listed' }, /allow/],
    [{ __proto__: null, toString: 1 }, /toString/],
    ['price', /settings/],
  ])('refuse %j, and stay as they were', async (change, words) => {
    const settings = open();
    await expect(settings.change(change as object)).rejects.toMatchObject({
      code: 'invalid-request',
      message: expect.stringMatching(words),
    });
    expect(settings.now).toEqual(checkSettings({}));
    expect(readSettings(folder)).toEqual({});
  });

  test('changed by many at once are all kept', async () => {
    const settings = open();
    await Promise.all([settings.change({ slots: 3 }), settings.change({ price: '7' }), settings.change({ block: [sha256('x')] })]);
    expect(open().now).toMatchObject({ slots: 3, price: '7', block: [sha256('x')] });
  });

  test('in a damaged file stop the start, naming it', () => {
    for (const text of ['{', '{"v":2,"settings":{}}', '{"v":1,"settings":{"colour":1}}', '{"v":1}']) {
      writeFileSync(settingsPath(folder), text);
      expect(() => open()).toThrow(/settings\.json/);
    }
  });
});

test('what is lent never exceeds what there is', () => {
  const machine = { platform: 'linux', architecture: 'x64', cores: 4, memoryMiB: 8_000, boot: 'x' };
  expect(lendingTerms(checkSettings({}), machine)).toEqual({ slots: 64, memoryMiB: 4_000, rate: 10n });
  expect(lendingTerms(checkSettings({ cores: 1.5 }), machine).slots).toBe(32);
  expect(lentLimits(checkSettings({ cores: 64, containerCores: 8 }), machine)).toMatchObject({ cores: 4, containerCores: 4 });
});

describe('registries', () => {
  test('and their logins stand in a file for the owner alone', async () => {
    await changeRegistry(folder, 'ghcr.io', { username: 'me', password: 'of the test' });
    await changeRegistry(folder, '10.0.0.5:5000', null);
    expect(readRegistries(folder)).toEqual({ 'ghcr.io': { username: 'me', password: 'of the test' }, '10.0.0.5:5000': null });
    const path = join(folder, 'registries.json');
    expect(statSync(path).mode & 0o777).toBe(0o600);
    await changeRegistry(folder, 'ghcr.io', undefined);
    expect(readFileSync(path, 'utf8')).not.toContain('of the test');
  });

  test.skipIf(process.platform === 'win32')('that others can read are not used', () => {
    writeFileSync(join(folder, 'registries.json'), '{"v":1,"registries":{}}', { mode: 0o644 });
    expect(() => readRegistries(folder)).toThrow(/chmod 600/);
  });

  test.each(['', 'https://ghcr.io', 'ghcr.io/me', 'GHCR.io', 'a b', '-x', '__proto__'])('the host %j is refused', async (host) => {
    await expect(changeRegistry(folder, host, null)).rejects.toMatchObject({ code: 'invalid-request' });
  });
});
