import type { Caller, CallTarget } from './caller.ts';
import { FramesPipe } from './frames-pipe.ts';
import type { Payload } from './payload.ts';

/** Calls a process that it starts, by frames on its standard input and output. */
export class FramesCaller implements Caller {
  readonly #pipe: FramesPipe;

  constructor({ command, args, env }: Extract<CallTarget, { protocol: 'frames' }>) {
    this.#pipe = new FramesPipe(command, args, env);
  }

  async call({ text }: Payload): Promise<boolean> {
    return (await this.#pipe.call(Buffer.from(text, 'latin1'))).toString('latin1') === text;
  }

  close(): Promise<void> {
    return this.#pipe.close();
  }
}
