import type { MessagePipe, MessageReceiver } from '../message-pipe.ts';
import { PipeInbox } from '../pipe-inbox.ts';

/** One end of a pipe inside one process. Messages arrive in a later turn of the event loop, as over a network. */
export class MemoryPipe implements MessagePipe {
  readonly address: string;
  readonly #inbox = new PipeInbox((paused) => this.#setPaused(paused));
  #other: MemoryPipe | undefined;
  #outbox: (string | Buffer)[] = [];
  #scheduled = false;
  #paused = false;
  #state: 'open' | 'closing' | 'gone' = 'open';
  buffered = 0;
  readonly headRoom = 0;
  readonly recordRoom = 16_384;

  private constructor(address: string) {
    this.address = address;
  }

  /** Two ends. @param address what each end sees of the other */
  static pair(address: string): [MemoryPipe, MemoryPipe] {
    const left = new MemoryPipe(address);
    const right = new MemoryPipe(address);
    left.#other = right;
    right.#other = left;
    return [left, right];
  }

  send(message: string | Buffer): void {
    if (this.#state !== 'open') return;
    this.#outbox.push(message);
    this.buffered += message.length;
    this.#schedule();
  }

  sendFrom(slab: Buffer, start: number, end: number): void {
    this.send(slab.subarray(start, end));
  }

  receive(receiver: MessageReceiver): void {
    this.#inbox.receive(receiver);
  }

  hold(): void {
    this.#inbox.hold();
  }

  close(): void {
    if (this.#state !== 'open') return;
    this.#state = 'closing';
    this.#schedule();
  }

  destroy(): void {
    this.#outbox = [];
    this.#state = 'closing';
    this.#schedule();
  }

  #setPaused(paused: boolean): void {
    this.#paused = paused;
    if (!paused) this.#other!.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => this.#deliver());
  }

  #deliver(): void {
    this.#scheduled = false;
    const other = this.#other!;
    while (this.#outbox.length > 0 && (!other.#paused || this.#state === 'closing')) other.#inbox.message(this.#outbox.shift()!);
    if (this.#outbox.length > 0 && other.#state === 'open') return;
    const hadSent = this.buffered > 0;
    this.buffered = 0;
    if (this.#state === 'closing') this.#end();
    else if (hadSent) this.#inbox.drain();
  }

  #end(): void {
    for (const end of [this, this.#other!]) {
      end.#state = 'gone';
      end.#inbox.gone();
    }
  }
}
