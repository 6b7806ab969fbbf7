import { spawn, type ChildProcess } from 'node:child_process';

const lengthBytes = 4;

/** Calls a process by frames on its standard input and output; answers come in the order of the calls. */
export class FramesPipe {
  readonly #child: ChildProcess;
  readonly #waiting: { resolve(answer: Buffer): void; reject(error: Error): void }[] = [];
  #queue: Uint8Array[] = [];
  #received: Buffer[] = [];
  #receivedBytes = 0;
  /** Bytes that must be here before the first frame can be whole. */
  #wantedBytes = lengthBytes;

  constructor(command: string, args: readonly string[], env: Readonly<Record<string, string>>) {
    this.#child = spawn(command, args, { env, stdio: ['pipe', 'pipe', 'inherit'] });
    this.#child.stdout!.on('data', (bytes: Buffer) => this.#onData(bytes));
    this.#child.stdin!.on('error', () => undefined);
    this.#child.on('error', (error) => this.#end(error));
    this.#child.on('close', () => this.#end(new Error('the process has ended')));
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  call(body: Uint8Array): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      const head = Buffer.allocUnsafe(lengthBytes);
      head.writeUInt32LE(body.length);
      // As the sandbox's host does it: what is sent in one turn leaves in one write.
      if (this.#queue.push(head, body) === 2) setImmediate(() => this.#flush());
    });
  }

  async close(): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once('close', resolve));
    if (this.#child.kill('SIGKILL')) await ended;
  }

  #flush(): void {
    const frames = this.#queue;
    this.#queue = [];
    this.#child.stdin!.write(Buffer.concat(frames));
  }

  #onData(bytes: Buffer): void {
    this.#received.push(bytes);
    this.#receivedBytes += bytes.length;
    if (this.#receivedBytes < this.#wantedBytes) return;
    let all = this.#received.length === 1 ? bytes : Buffer.concat(this.#received);
    while (all.length >= (this.#wantedBytes = wantedOf(all))) {
      this.#waiting.shift()?.resolve(all.subarray(lengthBytes, this.#wantedBytes));
      all = all.subarray(this.#wantedBytes);
    }
    this.#received = all.length === 0 ? [] : [all];
    this.#receivedBytes = all.length;
  }

  #end(error: Error): void {
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }
}

function wantedOf(bytes: Buffer): number {
  return bytes.length < lengthBytes ? lengthBytes : lengthBytes + bytes.readUInt32LE(0);
}
