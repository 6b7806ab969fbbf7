import { spawn, type ChildProcess } from 'node:child_process';
import type { Caller } from './caller.ts';
import type { Payload } from './payload.ts';

const lengthBytes = 4;

/** Calls a process that echoes frames on its standard input and output; answers come in the order of the calls. */
export class FramesCaller implements Caller {
  readonly #child: ChildProcess;
  readonly #waiting: { readonly text: string; resolve(right: boolean): void; reject(error: Error): void }[] = [];
  #queue: Buffer[] = [];
  #received: Buffer[] = [];
  #receivedBytes = 0;

  constructor(command: string, args: readonly string[], env: Readonly<Record<string, string>>) {
    this.#child = spawn(command, args, { env, stdio: ['pipe', 'pipe', 'inherit'] });
    this.#child.stdout!.on('data', (bytes: Buffer) => this.#onData(bytes));
    this.#child.stdin!.on('error', () => undefined);
    this.#child.on('error', (error) => this.#end(error));
    this.#child.on('close', () => this.#end(new Error('the process has ended')));
  }

  call({ text }: Payload): Promise<boolean> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ text, resolve, reject });
      const frame = Buffer.allocUnsafe(lengthBytes + text.length);
      frame.writeUInt32LE(text.length);
      frame.write(text, lengthBytes, 'latin1');
      // As the sandbox's host does it: what is sent in one turn leaves in one write.
      if (this.#queue.push(frame) === 1) setImmediate(() => this.#flush());
    });
  }

  async close(): Promise<void> {
    this.#child.kill('SIGKILL');
  }

  #flush(): void {
    const frames = this.#queue;
    this.#queue = [];
    this.#child.stdin!.write(frames.length === 1 ? frames[0]! : Buffer.concat(frames));
  }

  #onData(bytes: Buffer): void {
    this.#received.push(bytes);
    this.#receivedBytes += bytes.length;
    const wanted = this.#waiting[0];
    if (wanted === undefined || this.#receivedBytes < lengthBytes + wanted.text.length) return;
    let all = this.#received.length === 1 ? bytes : Buffer.concat(this.#received);
    while (all.length >= lengthBytes && all.length >= lengthBytes + all.readUInt32LE(0)) {
      const end = lengthBytes + all.readUInt32LE(0);
      const next = this.#waiting.shift();
      next?.resolve(all.toString('latin1', lengthBytes, end) === next.text);
      all = all.subarray(end);
    }
    this.#received = all.length === 0 ? [] : [all];
    this.#receivedBytes = all.length;
  }

  #end(error: Error): void {
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }
}
