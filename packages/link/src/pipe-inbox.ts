import type { MessageReceiver } from './message-pipe.ts';

/** The receiving half of a pipe: hands everything to whoever receives now, or keeps it in order for the next. */
export class PipeInbox {
  readonly #setPaused: (paused: boolean) => void;
  #waiting: (string | Buffer)[] = [];
  #receiver: MessageReceiver | undefined;
  #state: 'open' | 'gone' | 'told' = 'open';
  #broken: string | undefined;

  /** @param setPaused stops and continues reading from the network, so that little waits here */
  constructor(setPaused: (paused: boolean) => void) {
    this.#setPaused = setPaused;
  }

  message(message: string | Buffer): void {
    if (this.#receiver !== undefined && this.#waiting.length === 0) {
      this.#receiver.message(message);
      return;
    }
    if (this.#waiting.length === 0) this.#setPaused(true);
    this.#waiting.push(message);
  }

  drain(): void {
    this.#receiver?.drain();
  }

  gone(broken?: string): void {
    if (this.#state !== 'open') return;
    this.#state = 'gone';
    this.#broken = broken;
    this.#tellGone();
  }

  receive(receiver: MessageReceiver): void {
    this.#receiver = receiver;
    const hadWaiting = this.#waiting.length > 0;
    while (this.#waiting.length > 0 && this.#receiver === receiver) receiver.message(this.#waiting.shift()!);
    if (this.#waiting.length > 0) return;
    if (hadWaiting) this.#setPaused(false);
    this.#tellGone();
  }

  hold(): void {
    this.#receiver = undefined;
  }

  #tellGone(): void {
    if (this.#state !== 'gone' || this.#receiver === undefined || this.#waiting.length > 0) return;
    this.#state = 'told';
    this.#receiver.gone(this.#broken);
  }
}
