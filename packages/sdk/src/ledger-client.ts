import {
  OrbError,
  isOrbError,
  ordererCertificateSchema,
  ordererStandSchema,
  signTransaction,
  stateKeys,
  transactionId,
  type AccountId,
  type Block,
  type Json,
  type OrdererCertificate,
  type OrdererStand,
  type SignedOrder,
  type Signer,
  type Transaction,
  type TransactionBody,
  type TransactionKind,
} from '@orb/protocol';
import {
  accountRecordSchema,
  anyAnswerSchema,
  blockSchema,
  committedSchema,
  finalitySchema,
  historySchema,
  locatedSchema,
  ordererSchema,
  rangeSchema,
  refusalsSchema,
  stateAnswerSchema,
  votesSchema,
  type Committed,
  type KeyChange,
  type LedgerFinality,
  type LocatedTransaction,
  type OrdererStanding,
  type RefusedBlock,
} from './answers.ts';
import type { Http } from './http.ts';

/** The bodies that carry their account's next sequence number. */
export type SequencedKind = {
  [K in TransactionKind]: TransactionBody<K> extends { readonly sequence: number } ? K : never;
}[TransactionKind];

export interface StateEntry {
  readonly key: string;
  readonly value: Json;
}

const maxAttempts = 6;
/** A block holds many transactions of up to 256 KiB. */
const blockBytes = 64 * 1024 * 1024;
const pageSize = 1_000;
/** A certificate holds up to some hundred records with their proofs. */
const changesBytes = 4 * 1024 * 1024;

/** The ledger of a network, read and written through one super node. */
export class LedgerClient {
  readonly #http: Http;
  readonly #chain: () => Promise<string>;

  constructor(options: { readonly http: Http; readonly chain: () => Promise<string> }) {
    this.#http = options.http;
    this.#chain = options.chain;
  }

  /**
   * The record at a key, undefined when there is none.
   * @example
   * ```ts
   * import { Orb } from '@orb/sdk';
   *
   * const orb = new Orb({ url: 'http://127.0.0.1:7080' });
   * console.log(await orb.ledger.get('account-name/nobody-has-this')); // undefined
   * ```
   */
  async get(key: string, signal?: AbortSignal): Promise<Json | undefined> {
    try {
      const { value } = await this.#http.json(`/v1/ledger/state?key=${encodeURIComponent(key)}`, stateAnswerSchema, { signal });
      return value ?? undefined;
    } catch (error) {
      return undefinedIfAbsent(error);
    }
  }

  /** One page of records by prefix, in ascending order of key. @param options.limit at most 1,000 */
  async page(prefix: string, options: { readonly after?: string; readonly limit?: number } = {}): Promise<readonly StateEntry[]> {
    const query = new URLSearchParams({
      prefix,
      limit: String(options.limit ?? pageSize),
      ...(options.after !== undefined && { after: options.after }),
    });
    const { entries } = await this.#http.json(`/v1/ledger/state?${query.toString()}`, rangeSchema, { limit: 16 * 1024 * 1024 });
    return entries;
  }

  /** Every record by prefix, page after page, at most `most` of them. */
  async *range(prefix: string, most = 100_000): AsyncGenerator<StateEntry, void, undefined> {
    let after: string | undefined;
    for (let seen = 0; seen < most;) {
      const entries = await this.page(prefix, after === undefined ? {} : { after });
      for (const entry of entries) {
        // A server that repeats or goes backwards would otherwise keep us here for ever.
        if (!entry.key.startsWith(prefix) || (after !== undefined && entry.key <= after)) {
          throw new OrbError('protocol-violation', { message: 'The super node listed records out of order.' });
        }
        after = entry.key;
        yield entry;
        if (++seen >= most) return;
      }
      if (entries.length < pageSize) return;
    }
  }

  /** Every value a key has had, oldest first. */
  async history(key: string, limit = 100): Promise<readonly KeyChange[]> {
    const query = new URLSearchParams({ key, limit: String(limit) });
    return (await this.#http.json(`/v1/ledger/history?${query.toString()}`, historySchema, { limit: 16 * 1024 * 1024 })).changes;
  }

  /** A block as the super node holds it; `checkBlock` of the protocol proves it. */
  async block(height: number): Promise<Block | undefined> {
    try {
      return await this.#http.json(`/v1/ledger/blocks/${height}`, blockSchema, { limit: blockBytes });
    } catch (error) {
      return undefinedIfAbsent(error);
    }
  }

  /** Blocks from a height to the head, asked for `pageBlocks` at a time. */
  async *blocks(from = 0, pageBlocks = 500): AsyncGenerator<Block, void, undefined> {
    for (let next = from; ;) {
      const start = next;
      const path = `/v1/ledger/blocks?from=${start}&limit=${pageBlocks}`;
      for await (const block of this.#http.lines(path, blockSchema, { limit: blockBytes, timeoutMs: 600_000 })) {
        if (block.header.height !== next)
          throw new OrbError('protocol-violation', { message: `The super node sent block ${block.header.height} instead of ${next}.` });
        next++;
        yield block;
        if (next - start >= pageBlocks) break;
      }
      if (next === start) return;
    }
  }

  /** A transaction and where it stands. */
  async transaction(id: string): Promise<LocatedTransaction | undefined> {
    try {
      return await this.#http.json(`/v1/ledger/transactions/${encodeURIComponent(id)}`, locatedSchema);
    } catch (error) {
      return undefinedIfAbsent(error);
    }
  }

  /** Who co-signs the blocks here, how far each has come, and up to which block all is final; undefined where nobody keeps that. */
  async finality(): Promise<LedgerFinality | undefined> {
    try {
      return await this.#http.json('/v1/ledger/cosignatures', finalitySchema);
    } catch (error) {
      return undefinedIfAbsent(error);
    }
  }

  /** Blocks that the orderer signed and that cannot stand, as this super node or peer has found or was shown. */
  async refusals(): Promise<readonly RefusedBlock[]> {
    try {
      return (await this.#http.json('/v1/ledger/refusals', refusalsSchema)).refusals;
    } catch (error) {
      return undefinedIfAbsent(error) ?? [];
    }
  }

  /** Who orders the ledger, and how this super node or peer stands to it; undefined where its version knows nothing of changes. */
  async orderer(): Promise<OrdererStanding | undefined> {
    try {
      return await this.#http.json('/v1/ledger/orderer', ordererSchema);
    } catch (error) {
      return undefinedIfAbsent(error);
    }
  }

  /** The changes of the orderer, oldest first; `checkEpochs` of the protocol proves them. */
  async ordererChanges(): Promise<readonly OrdererCertificate[]> {
    const found: OrdererCertificate[] = [];
    for await (const one of this.#http.lines('/v1/ledger/orderer/changes', ordererCertificateSchema, { limit: changesBytes }))
      found.push(one);
    return found;
  }

  /** Where a change of the orderer would begin now: the last block here, and who may decide. */
  ordererStand(): Promise<OrdererStand> {
    return this.#http.json('/v1/ledger/orderer/stand', ordererStandSchema, { limit: changesBytes });
  }

  /** Tells this super node or peer to sign, and order, nothing more of the epoch. @throws OrbError why it does not */
  haltOrderer(order: SignedOrder): Promise<OrdererStanding> {
    return this.#http.json('/v1/ledger/orderer/halt', ordererSchema, { method: 'POST', body: order });
  }

  /** Has this super node or peer sign a change of the orderer. @throws OrbError why it does not */
  async signOrdererChange(order: SignedOrder): Promise<OrdererCertificate['votes']> {
    return (await this.#http.json('/v1/ledger/orderer/sign', votesSchema, { method: 'POST', body: order })).votes;
  }

  /** Hands a change that enough have signed to this super node: the new orderer begins, anybody else follows. @throws OrbError why not */
  changeOrderer(certificate: OrdererCertificate): Promise<OrdererStanding> {
    return this.#http.json('/v1/ledger/orderer/change', ordererSchema, { method: 'POST', body: certificate });
  }

  /** Proof that a transaction is on the ledger; `checkInclusion` of the protocol checks it. */
  proof(id: string): Promise<unknown> {
    return this.#http.json(`/v1/ledger/transactions/${encodeURIComponent(id)}/proof`, anyAnswerSchema);
  }

  /**
   * Hands in a signed transaction; resolves when its block is durable. An answer that gets lost on the way is asked for
   * again: a transaction is known by its id, so it happens once.
   * @throws OrbError why it was refused
   */
  async submit(transaction: Transaction): Promise<Committed> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#http.json('/v1/ledger/transactions', committedSchema, { method: 'POST', body: transaction });
      } catch (error) {
        const again = isOrbError(error) && ['link-closed', 'ledger-unavailable', 'rate-limited', 'shutting-down'].includes(error.code);
        if (!again || attempt >= maxAttempts) throw error;
        await pause(attempt, error.retryAfterMs);
      }
    }
  }

  /** Signs a body that needs no sequence number of an account and hands it in. */
  async send<K extends TransactionKind>(kind: K, body: TransactionBody<K>, signers: readonly Signer[]): Promise<Committed> {
    return this.submit(signTransaction(await this.#chain(), kind, body, signers) as Transaction);
  }

  /**
   * Reads the account's sequence number, signs with the next one, hands in; when another transaction of the account was
   * faster, reads again. Each try is one transaction, and at most one of them happens.
   * @throws OrbError `unknown-account`, `bad-sequence` when others keep being faster, or why it was refused
   */
  async sendAs<K extends SequencedKind>(
    account: AccountId,
    kind: K,
    body: Omit<TransactionBody<K>, 'sequence'>,
    signers: readonly Signer[],
  ): Promise<Committed & { readonly sequence: number }> {
    const chain = await this.#chain();
    for (let attempt = 1; ; attempt++) {
      const sequence = (await this.#sequenceOf(account)) + 1;
      const transaction = signTransaction(chain, kind, { ...body, sequence } as unknown as TransactionBody<K>, signers) as Transaction;
      try {
        return { ...(await this.submit(transaction)), sequence };
      } catch (error) {
        if (!isOrbError(error) || error.code !== 'bad-sequence') throw error;
        // An earlier answer may have been lost after this very transaction went through.
        const located = await this.transaction(transactionId(transaction));
        if (located) return { ...(await this.submit(transaction)), sequence };
        if (attempt >= maxAttempts) throw error;
        await pause(attempt);
      }
    }
  }

  async #sequenceOf(account: AccountId): Promise<number> {
    const record = accountRecordSchema.safeParse(await this.get(stateKeys.account(account)));
    if (!record.success)
      throw new OrbError('unknown-account', { message: 'The account of this key is not on the ledger of this network.' });
    return record.data.sequence;
  }
}

function undefinedIfAbsent(error: unknown): undefined {
  if (isOrbError(error) && error.code === 'not-found') return undefined;
  throw error;
}

/** Jittered, growing: several clients that collide do not collide again. */
function pause(attempt: number, atLeastMs = 0): Promise<void> {
  const delayMs = Math.min(Math.max(atLeastMs, 20 * 2 ** attempt * (0.5 + Math.random())), 10_000);
  return new Promise((resolve) => setTimeout(resolve, delayMs));
}
