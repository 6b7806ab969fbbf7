import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { machineFacts } from './machine-facts.ts';

const namespaces = async (files: Readonly<Record<string, string>>, made = true) => {
  const root = mkdtempSync(join(tmpdir(), 'orb-facts-'));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, 'proc', path)), { recursive: true });
    writeFileSync(join(root, 'proc', path), text);
  }
  const facts = await machineFacts({ root, platform: 'linux', tryNamespace: async () => made });
  return facts.find(({ name }) => name === 'user namespaces');
};
const most = 'sys/user/max_user_namespaces';

test.each([
  [{ [most]: '96000\n' }, true, /can be made/],
  [{}, false, /none/],
  [{ [most]: '0\n' }, false, /max_user_namespaces/],
  [{ [most]: '96000\n', 'sys/kernel/unprivileged_userns_clone': '0\n' }, false, /root alone/],
  [{ [most]: '96000\n', 'sys/kernel/apparmor_restrict_unprivileged_userns': '1\n' }, false, /AppArmor/],
])('user namespaces with %j: %s', async (files, found, words) => {
  expect(await namespaces(files as Record<string, string>)).toMatchObject({ found, words: expect.stringMatching(words) as string });
});

test('user namespaces that no switch forbids are tried', async () => {
  expect(await namespaces({ [most]: '96000\n' }, false)).toMatchObject({ found: false, words: expect.stringMatching(/refused/) as string });
});

test('elsewhere than on Linux nothing is looked for', async () => {
  expect(await machineFacts({ platform: 'darwin' })).toMatchObject([{ name: 'system', found: false }]);
});
