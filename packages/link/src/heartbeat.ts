import { randomFillSync } from 'node:crypto';
import { OrbError } from '@orb/protocol';
import { violation } from './frame.ts';
import type { LinkSettings } from './link-limits.ts';

/** Weight of a new sample in the smoothed time, as TCP's (RFC 6298, section 2). */
const sampleWeight = 1 / 8;

/** What a heartbeat does to its link. */
export interface HeartbeatLink {
  sendPing(nonce: Uint8Array): void;
  /** The other side is dead. */
  dead(reason: OrbError): void;
}

/**
 * Measures the round trip and notices a dead peer. A ping carries bytes that nobody can guess, so that the other side
 * cannot answer before it has been asked and seem nearer than it is.
 */
export class Heartbeat {
  readonly #link: HeartbeatLink;
  readonly #settings: LinkSettings;
  readonly #timer: NodeJS.Timeout;
  #nonce = Buffer.alloc(8);
  #sentAtMs: number | undefined;
  #heard = true;
  #silentBeats = 0;
  #unansweredBeats = 0;
  #rttMs: number | undefined;

  constructor(link: HeartbeatLink, settings: LinkSettings) {
    this.#link = link;
    this.#settings = settings;
    this.#timer = setInterval(() => this.#beat(), settings.heartbeatMs);
    this.#timer.unref();
    this.#ping();
  }

  get rttMs(): number | undefined {
    return this.#rttMs;
  }

  /** Something has arrived. */
  heard(): void {
    this.#heard = true;
  }

  /** @throws OrbError `protocol-violation` when nobody asked */
  pong(message: Buffer, start: number, end: number): void {
    if (this.#sentAtMs === undefined || this.#nonce.compare(message, start, end) !== 0) throw violation('a PONG that answers no PING');
    const sample = performance.now() - this.#sentAtMs;
    this.#sentAtMs = undefined;
    this.#rttMs = this.#rttMs === undefined ? sample : this.#rttMs + (sample - this.#rttMs) * sampleWeight;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #beat(): void {
    this.#silentBeats = this.#heard ? 0 : this.#silentBeats + 1;
    this.#heard = false;
    this.#unansweredBeats = this.#sentAtMs === undefined ? 0 : this.#unansweredBeats + 1;
    if (this.#silentBeats >= this.#settings.silentBeats || this.#unansweredBeats >= this.#settings.unansweredBeats) {
      this.#link.dead(new OrbError('link-closed', { message: 'The other side of the link has fallen silent.' }));
    } else if (this.#sentAtMs === undefined) {
      this.#ping();
    }
  }

  #ping(): void {
    randomFillSync(this.#nonce);
    this.#unansweredBeats = 0;
    this.#link.sendPing(this.#nonce);
    this.#sentAtMs = performance.now();
  }
}
