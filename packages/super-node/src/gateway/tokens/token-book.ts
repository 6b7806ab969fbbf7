import { createHmac } from 'node:crypto';
import { appendFileSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { canonical, hex32, limits, OrbError, parseWith, randomBytes, toHex, type AccountId, type Hex32 } from '@orb/protocol';
import { z } from 'zod';

const functionName = z.string().regex(/^[a-z0-9-]{1,39}\/[a-z0-9-]{1,63}$/, 'must be OWNER/NAME');

/** What an account asks for. */
export const tokenRequestSchema = z.strictObject({
  /** The functions it may call, `*` for every one that the account may call. */
  functions: z.union([z.literal('*'), z.array(functionName).min(1).max(limits.functionsPerToken)]),
  expiresMs: z.int().min(0),
  label: z
    .string()
    .regex(/^[\x20-\x7e]*$/, 'must be printable ASCII')
    .max(limits.tokenLabelChars)
    .default(''),
});
type TokenRequest = z.output<typeof tokenRequestSchema>;

const tokenSchema = z.strictObject({
  v: z.literal(1),
  /** The access key id of AWS clients. */
  id: z.string().regex(/^ORB[A-Z2-7]{17}$/),
  account: hex32,
  /** The account's key that asked for it: with that key's end the token ends. */
  key: hex32,
  functions: tokenRequestSchema.shape.functions,
  expiresMs: z.int(),
  createdMs: z.int(),
  label: z.string(),
});
/** A token as it is kept. Nothing of it is secret. */
export type Token = z.output<typeof tokenSchema>;

const lineSchema = z.union([tokenSchema, z.strictObject({ v: z.literal(1), revoked: z.string() })]);

/** Of all accounts together: some 40 MB. */
const maxTokens = 100_000;

/**
 * The tokens that this super node has made for accounts, for clients that can sign with a shared secret alone (AWS's).
 *
 * No secret is stored: a token's secret is HMAC-SHA256 of the token itself under one key of this super node (`tokens.key`,
 * mode 0600), made again when a signature is checked. So a changed record, say of a wider scope, has another secret and is
 * worthless. `tokens.jsonl` holds one line for each token made or revoked.
 */
export class TokenBook {
  readonly #file: string;
  readonly #key: Buffer;
  readonly #nowMs: () => number;
  readonly #tokens = new Map<string, Token>();

  /** @throws OrbError `key-store`, `invalid-request` for files that are not a token book's */
  constructor(options: { readonly folder: string }, dependencies: { readonly nowMs: () => number }) {
    const { folder } = options;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    this.#file = join(folder, 'tokens.jsonl');
    this.#key = readOrMakeKey(join(folder, 'tokens.key'));
    this.#nowMs = dependencies.nowMs;
    this.#load();
  }

  /** Makes a token; its secret is told this once. @throws OrbError `invalid-request` for its time, `conflict` for too many */
  create(account: AccountId, key: Hex32, { functions, expiresMs, label }: TokenRequest): { token: Token; secret: string } {
    const createdMs = this.#nowMs();
    const { min, max } = limits.tokenMs;
    if (expiresMs < createdMs + min || expiresMs > createdMs + max)
      throw new OrbError('invalid-request', { message: 'A token lives from a minute to 366 days.' });
    if (this.list(account).length >= limits.tokensPerAccount)
      throw new OrbError('conflict', {
        message: `This account has ${limits.tokensPerAccount} tokens.`,
        hint: 'Revoke one: orb token revoke ID.',
      });
    const token: Token = { v: 1, id: newId(), account, key, functions, expiresMs, createdMs, label };
    if (this.#tokens.size >= maxTokens) throw new OrbError('overloaded', { message: 'This super node keeps no more tokens.' });
    this.#append(token);
    this.#tokens.set(token.id, token);
    return { token, secret: this.secretOf(token) };
  }

  /** The tokens of an account that are good, newest last. */
  list(account: AccountId): Token[] {
    return [...this.#tokens.values()].filter((token) => token.account === account && token.expiresMs > this.#nowMs());
  }

  /** A token that has neither expired nor been revoked. */
  find(id: string): Token | undefined {
    const token = this.#tokens.get(id);
    return token && token.expiresMs > this.#nowMs() ? token : undefined;
  }

  /** @throws OrbError `not-found` unless it is a good one of this account */
  revoke(account: AccountId, id: string): void {
    if (this.find(id)?.account !== account) throw new OrbError('not-found', { message: `This account has no token ${id.slice(0, 32)}.` });
    this.#append({ v: 1, revoked: id });
    this.#tokens.delete(id);
  }

  secretOf(token: Token): string {
    return createHmac('sha256', this.#key)
      .update(`orb token 1\n${canonical(token)}`)
      .digest('base64url');
  }

  #append(line: z.output<typeof lineSchema>): void {
    appendFileSync(this.#file, `${JSON.stringify(line)}\n`, { mode: 0o600, flush: true });
  }

  /** Reads the file, and writes it anew without what has ended. */
  #load(): void {
    if (!existsSync(this.#file)) return;
    const lines = readFileSync(this.#file, 'utf8').split('\n');
    // A crash while a line was written leaves a part of it: that token was never told to anybody.
    for (const text of lines.slice(0, -1)) {
      const line = parseWith(lineSchema, JSON.parse(text), 'tokens.jsonl');
      if ('revoked' in line) this.#tokens.delete(line.revoked);
      else if (line.expiresMs > this.#nowMs()) this.#tokens.set(line.id, line);
    }
    const kept = [...this.#tokens.values()].map((token) => `${JSON.stringify(token)}\n`).join('');
    writeFileSync(`${this.#file}.new`, kept, { mode: 0o600, flush: true });
    renameSync(`${this.#file}.new`, this.#file);
  }
}

function newId(): string {
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
  return `ORB${Array.from(randomBytes(17), (byte) => letters[byte & 31]).join('')}`;
}

function readOrMakeKey(path: string): Buffer {
  if (!existsSync(path)) writeFileSync(path, `${toHex(randomBytes(32))}\n`, { mode: 0o600, flag: 'wx', flush: true });
  const text = readFileSync(path, 'utf8').trim();
  if (!/^[0-9a-f]{64}$/.test(text)) throw new OrbError('key-store', { message: `${path} does not hold a key.` });
  return Buffer.from(text, 'hex');
}
