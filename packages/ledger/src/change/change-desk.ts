import {
  blockHash,
  checkOrder,
  OrbError,
  ordererCertificateSchema,
  parseWith,
  signedOrderSchema,
  signOrdererChange,
  stateKeys,
  superNodeId,
  type AccountRecord,
  type Hex32,
  type Hex64,
  type OperatorOrder,
  type OrdererCertificate,
  type OrdererRecord,
  type OrdererStand,
  type Signer,
  type SuperNodeRecord,
} from '@orb/protocol';
import type { LedgerEngine } from '../engine.ts';
import type { CosignStanding, Cosigner } from '../finality/cosign-record.ts';
import type { KeptLedger } from '../kept-ledger.ts';
import { examineChange, type ChangeAhead } from './examine-change.ts';

/** How a super node or peer stands in its ledger's epochs: for everybody to see. */
export interface OrdererStanding {
  readonly epoch: number;
  /** The orderer's. */
  readonly key: Hex32;
  /** Null in the first epoch: the genesis names no address. */
  readonly gateway: string | null;
  readonly since: number;
  readonly head: { readonly height: number; readonly epoch: number; readonly hash: Hex32 };
  /** Whether this process orders. */
  readonly ordering: boolean;
  /** Whether it has stopped ordering, for another to take its place. */
  readonly halted: boolean;
  readonly cosigner: ({ readonly key: Hex32 } & CosignStanding) | null;
}

export interface DeskDependencies {
  readonly ledger: KeptLedger;
  readonly cosigner: Cosigner;
  /** Where this process orders. */
  readonly ordering?: { readonly engine: LedgerEngine; readonly key: Signer } | undefined;
  /** Keys that this process could order with. */
  readonly own?: readonly Hex32[];
  /** A change has been checked that this copy does not have yet. */
  readonly onChange: (ahead: ChangeAhead) => Promise<void>;
}

/** Where the operator of a super node or peer has a change of the orderer signed, and where the new orderer takes it. */
export class ChangeDesk {
  readonly #dependencies: DeskDependencies;

  constructor(dependencies: DeskDependencies) {
    this.#dependencies = dependencies;
  }

  async standing(): Promise<OrdererStanding> {
    const { ledger, cosigner, ordering } = this.#dependencies;
    const { head, genesis } = ledger;
    const record = (await ledger.get(stateKeys.orderer(head.epoch))) as unknown as OrdererRecord | undefined;
    const { key, standing } = cosigner;
    return {
      epoch: head.epoch,
      key: record?.key ?? genesis.ordererKey,
      gateway: record?.gateway ?? null,
      since: record?.since ?? 0,
      head: { height: head.height, epoch: head.epoch, hash: blockHash(head) },
      ordering: ordering !== undefined,
      halted: ordering?.engine.halted ?? false,
      cosigner: { key, last: standing.last, left: standing.left },
    };
  }

  /** Where a change would begin: the last block here. @throws OrbError `ledger-unavailable` while one is being made */
  stand(): Promise<OrdererStand> {
    return this.#dependencies.ledger.stand();
  }

  /**
   * Its operator says: sign nothing more of this epoch, order nothing more.
   * @throws OrbError `bad-signature`, `forbidden`, `conflict` for an epoch that has begun
   */
  async halt(value: unknown): Promise<OrdererStanding> {
    const { epoch } = await this.#ordered(value);
    const { cosigner, ordering } = this.#dependencies;
    await ordering?.engine.halt();
    await cosigner.leave(epoch);
    return this.standing();
  }

  /**
   * Its operator says: sign this change.
   * @returns the signature of this peer and, where it orders, that of the orderer: after it there is no further block
   * @throws OrbError as {@link halt}, and as the cosigner's `signChange`
   */
  async sign(value: unknown): Promise<{ readonly votes: readonly { readonly key: Hex32; readonly signature: Hex64 }[] }> {
    const { change } = await this.#ordered(value);
    const { ledger, cosigner, ordering } = this.#dependencies;
    if (!change) throw new OrbError('invalid-request', { message: 'The order names no change to sign.' });
    if (change.chain !== ledger.chain) throw new OrbError('wrong-chain', { message: 'The change is of another ledger.' });
    if (ordering) {
      await ordering.engine.halt();
      if (ledger.head.height !== change.height - 1) {
        throw new OrbError('conflict', {
          message: `This orderer has stopped after block ${ledger.head.height}; the change begins with block ${change.height}.`,
          hint: 'Propose it again, now that it has stopped: orb ledger orderer propose',
          details: { height: ledger.head.height },
        });
      }
    }
    const votes = [{ key: cosigner.key, signature: await cosigner.signChange(change) }];
    if (ordering && ordering.key.publicKey !== cosigner.key) {
      votes.push({ key: ordering.key.publicKey, signature: signOrdererChange(change, ordering.key) });
    }
    return { votes };
  }

  /**
   * A change that enough have signed. Who it names begins to order; anybody else follows.
   * @throws OrbError `bad-signature`; `ledger-unavailable` while this copy, which is to order, has not reached the block
   * before it; `conflict` when the ledger has gone on
   */
  async take(value: unknown): Promise<OrdererStanding> {
    const { ledger, own = [], onChange } = this.#dependencies;
    const certificate: OrdererCertificate = parseWith(ordererCertificateSchema, value, 'certificate');
    const { change } = certificate;
    const ahead = await examineChange(ledger, [certificate]);
    if (!ahead) {
      const record = (await ledger.get(stateKeys.orderer(change.epoch))) as unknown as OrdererRecord | undefined;
      if (record?.key === change.key && record.since === change.height) return this.standing();
      throw new OrbError('conflict', {
        message: `This ledger is in epoch ${ledger.head.epoch} already.`,
        hint: 'Look at who orders now: orb ledger orderer show',
      });
    }
    if (own.includes(change.key)) {
      if (ledger.oldest > 0) {
        throw new OrbError('ledger-unavailable', {
          message: 'This copy has begun with a snapshot, and does not have all blocks yet: it cannot order.',
          retryAfterMs: 5_000,
        });
      }
      if (change.height - 1 > ledger.head.height) {
        throw new OrbError('ledger-unavailable', {
          message: `The change follows block ${change.height - 1}; this copy stands at ${ledger.head.height} and has to catch up first.`,
          retryAfterMs: 500,
        });
      }
    }
    await onChange(ahead);
    return this.standing();
  }

  async #ordered(value: unknown): Promise<OperatorOrder> {
    const { ledger, cosigner } = this.#dependencies;
    const signed = parseWith(signedOrderSchema, value, 'order');
    const order = checkOrder(signed);
    if (order.chain !== ledger.chain) throw new OrbError('wrong-chain', { message: 'The order is for another ledger.' });
    if (order.peer !== cosigner.key) throw new OrbError('forbidden', { message: 'The order is for another peer.' });
    if (order.change && order.change.epoch !== order.epoch)
      throw new OrbError('invalid-request', { message: 'The order names two epochs.' });
    if (order.epoch <= ledger.head.epoch) {
      throw new OrbError('conflict', {
        message: `Epoch ${ledger.head.epoch} has begun already.`,
        hint: 'Look at who orders now: orb ledger orderer show',
      });
    }
    await this.#requireOwner(signed.key);
    return order;
  }

  /** Orders come from the account whose peer this is: its own key's, or that of its super node. */
  async #requireOwner(key: Hex32): Promise<void> {
    const { ledger, cosigner } = this.#dependencies;
    const superNode = (await ledger.get(stateKeys.superNode(superNodeId(cosigner.key)))) as unknown as SuperNodeRecord | undefined;
    const owner = superNode && ((await ledger.get(stateKeys.account(superNode.account))) as unknown as AccountRecord | undefined);
    // A plain peer co-signs with its account's own key.
    if (owner ? owner.keys.includes(key) : key === cosigner.key) return;
    throw new OrbError('forbidden', {
      message: 'This peer obeys the account that it belongs to, and no other.',
      hint: 'Give --account with the name of its owner, and --gateway with the address of your own peer.',
    });
  }
}
