import { OrbError } from '@orb/protocol';
import type { FrameBatch } from './frame-batch.ts';
import { frameTypes, violation } from './frame.ts';
import { linkLimits, type LinkSettings } from './link-limits.ts';

/** A body on its way out. */
export interface PieceSender {
  /** Sends one piece of at most `most` bytes. @returns its length, and 0 when it has nothing that it may send now */
  sendPiece(most: number): number;
}

/**
 * What the calls of one link share: the batch that they write to, and the credit of the link in both directions.
 * Bodies that may send take turns, one piece each, while the link has credit and the network takes bytes.
 */
export class Wire {
  readonly batch: FrameBatch;
  readonly settings: LinkSettings;
  readonly #buffered: () => number;
  readonly #senders = new Set<PieceSender>();
  /** Bytes of bodies that the other side still takes. */
  #credit: number = linkLimits.linkWindowBytes;
  /** Bytes of bodies that this side still takes. */
  #allowed: number = linkLimits.linkWindowBytes;
  /** Bytes consumed and not yet given back. */
  #consumed = 0;
  #sending = false;

  constructor(batch: FrameBatch, settings: LinkSettings, buffered: () => number) {
    this.batch = batch;
    this.settings = settings;
    this.#buffered = buffered;
  }

  /** Takes credit for a small body that leaves at once. False when it must queue. */
  trySend(length: number): boolean {
    if (length > this.#credit || this.#senders.size > 0 || this.#congested) return false;
    this.#credit -= length;
    return true;
  }

  /** The body has something to send; it is asked for pieces until it returns 0. */
  enqueue(sender: PieceSender): void {
    this.#senders.add(sender);
    this.sendPieces();
  }

  dequeue(sender: PieceSender): void {
    this.#senders.delete(sender);
  }

  /** Sends what may be sent; called when credit or room in the network has come. */
  sendPieces(): void {
    if (this.#sending) return;
    this.#sending = true;
    try {
      for (const sender of this.#senders) {
        if (this.#credit === 0 || this.#congested) return;
        this.#senders.delete(sender);
        const sent = sender.sendPiece(Math.min(this.#credit, this.batch.roomForPiece()));
        this.#credit -= sent;
        // To the end of the queue; the loop comes to it again after the others.
        if (sent > 0) this.#senders.add(sender);
      }
    } finally {
      this.#sending = false;
    }
  }

  /** @throws OrbError `protocol-violation` when the other side gives back more than it had */
  addCredit(bytes: number): void {
    this.#credit += bytes;
    if (bytes === 0 || this.#credit > linkLimits.linkWindowBytes) throw violation(`credit of ${bytes} bytes for the link`);
    this.sendPieces();
  }

  /** @throws OrbError `protocol-violation` when the other side sends more than it may */
  received(bytes: number): void {
    this.#allowed -= bytes;
    if (this.#allowed < 0) throw violation('more bytes than the link has credit for');
  }

  /** Bytes of a body have been read or thrown away. */
  consumed(bytes: number): void {
    this.#consumed += bytes;
    if (this.#consumed < linkLimits.linkWindowBytes / 4) return;
    this.#allowed += this.#consumed;
    this.batch.number(frameTypes.credit, 0, this.#consumed);
    this.#consumed = 0;
  }

  /** Whether so much is on its way out that no new call should join it. */
  get overfull(): boolean {
    return this.#buffered() > this.settings.outputMaxBytes / 2;
  }

  get #congested(): boolean {
    return this.#buffered() + this.batch.waiting > this.settings.outputHighBytes;
  }
}

/** Why a call ended that could not be finished. */
export function cancelledError(cause?: unknown): OrbError {
  return new OrbError('cancelled', cause === undefined ? {} : { cause });
}
