import { chmod, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { utf8, verify } from '@orb/protocol';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { KeyFile } from './key-file.ts';
import { KeyStore } from './key-store.ts';

let home: string;
let asked: string[];
let passphrase: string | undefined;
let store: KeyStore;

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'orb-keys-'));
  asked = [];
  passphrase = undefined;
  store = new KeyStore(
    { home },
    {
      forNewKey: async () => passphrase,
      forKey: async (name) => {
        asked.push(name);
        return passphrase ?? '';
      },
    },
  );
});
afterEach(() => rm(home, { recursive: true, force: true }));

const label = { purpose: 'account', name: 'alice' } as const;
const path = () => store.pathOfAccount('alice');
const readFileJson = async () => JSON.parse(await readFile(path(), 'utf8')) as KeyFile;
const change = async (changes: object) => writeFile(path(), JSON.stringify({ ...(await readFileJson()), ...changes }));

test('a key signs the same after it was written and read, and only its owner can read the file', async () => {
  const made = await store.create(path(), label);
  const { signer: opened } = await store.openAccount('alice');
  expect(opened.publicKey).toBe(made.publicKey);
  expect(verify(made.publicKey, utf8('words'), opened.sign(utf8('words')))).toBe(true);
  expect((await stat(path())).mode & 0o777).toBe(0o600);
  expect((await stat(join(home, 'keys'))).mode & 0o777).toBe(0o700);
  expect(asked).toEqual([]);
});

test('an existing key is never overwritten', async () => {
  const { publicKey } = await store.create(path(), label);
  await expect(store.create(path(), label)).rejects.toMatchObject({ code: 'key-store', message: expect.stringContaining('already') });
  expect((await store.openAccount('alice')).signer.publicKey).toBe(publicKey);
});

test('an encrypted key holds no seed in the clear, opens with its passphrase and with no other', async () => {
  passphrase = 'correct horse';
  const { publicKey } = await store.create(path(), label);
  const file = await readFileJson();
  expect(file.encryption).toMatchObject({ kdf: 'scrypt', cipher: 'aes-256-gcm' });
  expect(file.secret).not.toMatch(/^[0-9a-f]{64}$/);
  expect((await store.openAccount('alice')).signer.publicKey).toBe(publicKey);
  expect(asked).toEqual(['alice']);
  passphrase = 'wrong horse';
  await expect(store.openAccount('alice')).rejects.toMatchObject({ code: 'key-store', message: expect.stringContaining('wrong') });
});

test('two encrypted keys of one passphrase share neither salt nor nonce', async () => {
  passphrase = 'correct horse';
  await store.create(path(), label);
  await store.create(store.pathOfAccount('bob'), { purpose: 'account', name: 'bob' });
  const [a, b] = [(await store.peek(path()))!.encryption!, (await store.peek(store.pathOfAccount('bob')))!.encryption!];
  expect(a.salt).not.toBe(b.salt);
  expect(a.nonce).not.toBe(b.nonce);
});

test('any change to an encrypted file is found: name, purpose, public key, ciphertext, weaker scrypt', async () => {
  passphrase = 'correct horse';
  await store.create(path(), label);
  const good = await readFileJson();
  const flipped = Buffer.from(good.secret, 'base64');
  flipped[0]! ^= 1;
  for (const changes of [
    { publicKey: '0'.repeat(64) },
    { secret: flipped.toString('base64') },
    { encryption: { ...good.encryption, n: 2 } },
    { name: 'bob' },
    { purpose: 'node' },
    { extra: 1 },
  ]) {
    await writeFile(path(), JSON.stringify({ ...good, ...changes }));
    await expect(store.openAccount('alice')).rejects.toMatchObject({ code: 'key-store' });
  }
});

test('a plain file whose secret does not belong to its public key is refused', async () => {
  await store.create(path(), label);
  await change({ secret: '1'.repeat(64) });
  await expect(store.openAccount('alice')).rejects.toMatchObject({ code: 'key-store', message: expect.stringContaining('changed') });
});

test('one account’s file copied over another’s name is refused', async () => {
  await store.create(path(), label);
  await symlink(path(), store.pathOfAccount('bob'));
  await expect(store.openAccount('bob')).rejects.toMatchObject({ code: 'key-store', message: expect.stringContaining('alice') });
});

test('a file that group or others can touch is refused, with the way to close it', async () => {
  await store.create(path(), label);
  for (const mode of [0o640, 0o604, 0o660]) {
    await chmod(path(), mode);
    await expect(store.openAccount('alice')).rejects.toMatchObject({ code: 'key-store', hint: expect.stringContaining('chmod 600') });
  }
});

test('a damaged, empty or huge file is refused without its content in the message', async () => {
  await store.create(path(), label);
  for (const text of ['', '{"secret":"deadbeef"', 'x'.repeat(100_000)]) {
    await writeFile(path(), text);
    await expect(store.openAccount('alice')).rejects.toSatisfy(
      (error: Error) => (error as { code?: string } & Error).code === 'key-store' && !error.message.includes('deadbeef'),
    );
  }
});

test('names that are no account names never become paths', () => {
  for (const name of ['../x', 'a/b', 'A', '', '.', 'x'.repeat(40)]) expect(() => store.pathOfAccount(name)).toThrow('account name');
});
