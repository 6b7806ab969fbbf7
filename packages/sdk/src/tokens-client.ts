import { instantMs } from '@orb/protocol';
import { z } from 'zod';
import { anyAnswerSchema } from './answers.ts';
import type { Owner } from './functions-client.ts';
import type { ApiRequest, Http } from './http.ts';

const tokenSchema = z.object({
  accessKeyId: z.string().max(128),
  functions: z.union([z.literal('*'), z.array(z.string().max(110)).max(1_000)]),
  expiresMs: instantMs,
  createdMs: instantMs,
  label: z.string().max(256),
});
const newTokenSchema = tokenSchema.extend({ secretAccessKey: z.string().max(256) });
const tokensSchema = z.object({ tokens: z.array(tokenSchema).max(10_000) });

/** A token as its super node lists it: everything but its secret. */
export type TokenInfo = z.output<typeof tokenSchema>;
/** A token just made. Its secret is told this once. */
export type NewToken = z.output<typeof newTokenSchema>;

export interface TokenTerms {
  /** `OWNER/NAME` of each function that it may call, or `*` for all that the account may call. */
  readonly functions: '*' | readonly string[];
  /** When it ends, milliseconds since 1970: a minute to 366 days from now. */
  readonly expiresMs: number;
  /** For its owner to know it by; at most 64 printable ASCII characters. */
  readonly label?: string;
}

/** Tokens: access keys with which AWS clients call functions through this super node's copy of Lambda's Invoke. */
export class TokensClient {
  readonly #http: Http;
  readonly #sign: (owner: Owner) => Promise<Pick<ApiRequest, 'headers' | 'signWith'>>;

  constructor(dependencies: { readonly http: Http; sign(owner: Owner): Promise<Pick<ApiRequest, 'headers' | 'signWith'>> }) {
    this.#http = dependencies.http;
    this.#sign = (owner) => dependencies.sign(owner);
  }

  /**
   * Makes a token: an access key for AWS's clients, and for links of this SDK (`new Orb({ url, transport: 'link', token })`).
   * @throws OrbError `invalid-request`, `conflict` for too many
   * @example
   * ```ts
   * import { newKey, Orb } from '@orb/sdk';
   *
   * const url = 'http://127.0.0.1:7080';
   * const { signer } = newKey();
   * const owner = new Orb({ url, account: { signer } });
   * await owner.accounts.create('grace', signer, ['developer']);
   * const token = await owner.tokens.create(owner.owner, { functions: ['demo/hello'], expiresMs: Date.now() + 3_600_000 });
   *
   * await using orb = new Orb({ url, transport: 'link', token });
   * const { output } = await orb.call('demo/hello', { name: 'Grace' });
   * console.log(output); // { hello: 'Grace' }
   * ```
   */
  async create(owner: Owner, terms: TokenTerms): Promise<NewToken> {
    return this.#http.json('/v1/tokens', newTokenSchema, { method: 'POST', body: terms, ...(await this.#sign(owner)) });
  }

  /** The owner's tokens that are good. */
  async list(owner: Owner): Promise<readonly TokenInfo[]> {
    return (await this.#http.json('/v1/tokens', tokensSchema, await this.#sign(owner))).tokens;
  }

  /** Ends a token at once. @throws OrbError `not-found` unless it is the owner's */
  async revoke(owner: Owner, accessKeyId: string): Promise<void> {
    await this.#http.json(`/v1/tokens/${encodeURIComponent(accessKeyId)}`, anyAnswerSchema, {
      method: 'DELETE',
      ...(await this.#sign(owner)),
    });
  }
}
