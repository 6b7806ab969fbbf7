import { encodeFrame, encodeMethod, frameFlags, frameTypes, readFrames, type FrameType } from '../frame.ts';
import type { MessagePipe, MessageReceiver } from '../message-pipe.ts';

export interface RawFrame {
  readonly type: FrameType;
  readonly flags: number;
  readonly id: number;
  readonly payload: Buffer;
}

/** The other side of a link, frame by frame, free to break every rule. It answers pings unless told otherwise. */
export class RawPeer implements MessageReceiver {
  readonly pipe: MessagePipe;
  /** Resolves when the connection is gone. */
  readonly ended: Promise<void>;
  readonly frames: RawFrame[] = [];
  answersPings = true;
  readonly #ended = Promise.withResolvers<void>();
  #waiting: (() => void)[] = [];

  constructor(pipe: MessagePipe) {
    this.pipe = pipe;
    this.ended = this.#ended.promise;
    pipe.receive(this);
  }

  send(...frames: Buffer[]): void {
    this.pipe.send(Buffer.concat(frames));
  }

  /** Waits for the first frame that has not been taken yet and is of this type, and takes it. */
  async next(type: FrameType): Promise<RawFrame> {
    for (;;) {
      const index = this.frames.findIndex((frame) => frame.type === type);
      if (index >= 0) return this.frames.splice(index, 1)[0]!;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  message(message: string | Buffer): void {
    readFrames(message as Buffer, (type, flags, id, bytes, start, end) => {
      const payload = Buffer.from(bytes.subarray(start, end));
      if (type === frameTypes.ping && this.answersPings) this.send(encodeFrame(frameTypes.pong, 0, 0, payload));
      else this.frames.push({ type, flags, id, payload });
    });
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }

  drain(): void {
    // Tests send little.
  }

  gone(): void {
    this.#ended.resolve();
  }
}

/** A CALL frame; without a body unless `flags` says so. */
export function callFrame(id: number, json = '{}', flags: number = frameFlags.fin, method = 'echo'): Buffer {
  return encodeFrame(frameTypes.call, flags, id, encodeMethod(method, json));
}

/** A frame whose payload is JSON. */
export function jsonFrame(type: FrameType, id: number, value: unknown, flags = 0): Buffer {
  return encodeFrame(type, flags, id, Buffer.from(JSON.stringify(value)));
}

/** A CREDIT frame. */
export function creditFrame(id: number, bytes: number): Buffer {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(bytes);
  return encodeFrame(frameTypes.credit, 0, id, payload);
}
