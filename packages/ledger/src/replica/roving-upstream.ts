import { setTimeout as sleep } from 'node:timers/promises';
import { stateKeys, superNodeId, type ChainId, type OrdererChange, type OrdererRecord, type SuperNodeRecord } from '@orb/protocol';
import { askAll, askStanding, gatewaysOf } from '../change/change-watch.ts';
import type { Ledger } from '../port.ts';
import { httpUpstream } from './http-upstream.ts';
import type { Upstream } from './upstream.ts';

export interface RovingOptions {
  readonly chain: ChainId;
  /** The super node to follow as long as the ledger names no other orderer than its genesis does. */
  readonly url: string;
  /** Id of this super node, where it is one. */
  readonly self?: string;
  readonly others?: readonly string[];
  /** How often one that is followed in place of the orderer is left for it, milliseconds. @default 5000 */
  readonly everyMs?: number;
}

/** How long one is passed over whose blocks were none. */
const avoidMs = 60_000;

/**
 * The orderer over HTTP, whoever that is by now. Blocks come from the orderer or, while it does not answer, from whichever
 * super node has the most; transactions go to the orderer alone, so that they never run in circles.
 */
export class RovingUpstream implements Upstream {
  readonly #options: RovingOptions;
  #ledger: Pick<Ledger, 'get' | 'range' | 'head'> | undefined;
  /** Where blocks come from, when not from the orderer. */
  #source: string | undefined;
  #ahead: OrdererChange | undefined;
  #failed = false;
  /** Until when those are passed over whose blocks were none. */
  readonly #avoided = new Map<string, number>();
  #leaving = new AbortController();

  constructor(options: RovingOptions) {
    this.#options = options;
  }

  /** The copy that follows: it knows who orders. */
  attach(ledger: Pick<Ledger, 'get' | 'range' | 'head'>): void {
    this.#ledger = ledger;
  }

  /** A change of the orderer has been checked, whose block the copy does not have yet: what it needs is to be had there. */
  expectChange(change: OrdererChange): void {
    this.#ahead = change;
    this.#source = undefined;
    this.#failed = false;
    this.#leave();
  }

  /** Where the orderer is. */
  async ordererUrl(): Promise<string> {
    const epoch = ((await this.#ledger?.get(stateKeys.currentEpoch)) as number | undefined) ?? 1;
    if (this.#ahead && this.#ahead.epoch > epoch) return this.#ahead.gateway;
    if (epoch === 1) return this.#options.url;
    const { key, gateway } = (await this.#ledger!.get(stateKeys.orderer(epoch))) as unknown as OrdererRecord;
    const registered = (await this.#ledger!.get(stateKeys.superNode(superNodeId(key)))) as unknown as SuperNodeRecord | undefined;
    return registered?.gateway ?? gateway;
  }

  async head(signal: AbortSignal) {
    if (this.#failed) await this.#lookAround(signal);
    return this.#watching(async () => (await this.#blocksFrom()).head(signal));
  }

  async *blocks(from: number, signal: AbortSignal): AsyncGenerator<unknown, void, undefined> {
    const leaving = this.#leaving.signal;
    const within = AbortSignal.any([signal, leaving]);
    const source = this.#source;
    const returning = source === undefined ? undefined : this.#returnToOrderer(within);
    let isTaken = true;
    try {
      for await (const block of (await this.#blocksFrom()).blocks(from, within)) {
        isTaken = false;
        yield block;
        // Asked for the next one: this one was nothing to leave for.
        isTaken = true;
      }
    } catch (error) {
      if (!leaving.aborted || signal.aborted) throw error;
    } finally {
      if (!within.aborted) {
        this.#failed = true;
        if (!isTaken && source !== undefined) this.#avoided.set(source, performance.now() + avoidMs);
      }
      await returning?.stop();
    }
  }

  async cosignatures(height: number, signal: AbortSignal) {
    return (await this.#orderer()).cosignatures!(height, signal);
  }

  async *snapshot(signal: AbortSignal): AsyncGenerator<unknown, void, undefined> {
    yield* (await this.#orderer()).snapshot!(signal);
  }

  async submit(...[transaction, signal]: Parameters<Upstream['submit']>) {
    return (await this.#orderer()).submit(transaction, signal);
  }

  #leave(): void {
    this.#leaving.abort();
    this.#leaving = new AbortController();
  }

  async #orderer(): Promise<Upstream> {
    return this.#at(await this.ordererUrl());
  }

  async #blocksFrom(): Promise<Upstream> {
    return this.#at(this.#source ?? (await this.ordererUrl()));
  }

  #at(url: string): Upstream {
    return httpUpstream({ url, chain: this.#options.chain });
  }

  async #watching<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      this.#failed = true;
      throw error;
    }
  }

  /** Of those who answer: the orderer, or whoever has the most blocks of the latest epoch. */
  async #lookAround(signal: AbortSignal): Promise<void> {
    const ledger = this.#ledger;
    if (!ledger) return;
    const { self, url, others = [] } = this.#options;
    const orderer = await this.ordererUrl();
    const urls = await gatewaysOf(ledger, { self, others: [orderer, url, ...others] });
    const now = performance.now();
    const found = await askAll(
      urls.filter((one) => (this.#avoided.get(one) ?? 0) < now),
      signal,
    );
    const [best] = found.toSorted(
      (a, b) => b.epoch - a.epoch || Number(b.url === orderer) - Number(a.url === orderer) || b.height - a.height,
    );
    this.#failed = false;
    this.#source = best === undefined || best.url === orderer ? undefined : best.url;
  }

  /** While another is followed: back to the orderer as soon as it answers and is not behind. */
  #returnToOrderer(signal: AbortSignal): { stop(): Promise<void> } {
    const ending = new AbortController();
    const within = AbortSignal.any([signal, ending.signal]);
    const running = (async () => {
      while (!within.aborted) {
        await sleep(this.#options.everyMs ?? 5_000, undefined, { signal: within, ref: false }).catch(() => undefined);
        if (within.aborted || !this.#ledger) return;
        const { head } = this.#ledger;
        const orderer = await askStanding(await this.ordererUrl(), within);
        if (within.aborted || !orderer || orderer.epoch < head.epoch || orderer.height < head.height) continue;
        this.#source = undefined;
        this.#leave();
        return;
      }
    })();
    return {
      async stop() {
        ending.abort();
        await running.catch(() => undefined);
      },
    };
  }
}
