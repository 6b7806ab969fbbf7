import { randomUUID } from 'node:crypto';
import type { Instance, Invocation, InvocationResult } from '@orb/sandbox';
import type { WarmInstance } from './runtime.ts';

/** Calls an instance of a sandbox as a node does. */
export class SandboxInstance implements WarmInstance {
  readonly concurrency: number;
  readonly download?: (bytes: number) => AsyncIterable<Uint8Array>;
  readonly upload?: (bytes: number) => Promise<void>;
  readonly #instance: Instance;

  constructor(instance: Instance, { concurrency, streams }: { readonly concurrency: number; readonly streams: boolean }) {
    this.#instance = instance;
    this.concurrency = concurrency;
    if (!streams) return;
    this.download = (bytes) => this.#download(bytes);
    this.upload = (bytes) => this.#upload(bytes);
  }

  async echo(body: Uint8Array): Promise<Uint8Array> {
    return wholeOf(await this.#invoke('/', body));
  }

  memoryMiB(): number {
    return this.#instance.memoryKiB / 1_024;
  }

  stop(): Promise<void> {
    return this.#instance.kill();
  }

  async *#download(bytes: number): AsyncGenerator<Uint8Array, void, undefined> {
    const result = await this.#invoke(`/make?bytes=${bytes}`, new Uint8Array(), { maxResponseBytes: bytes });
    if (result.body instanceof Uint8Array) yield result.body;
    else yield* result.body;
    await ended(result);
  }

  async #upload(bytes: number): Promise<void> {
    const result = await this.#invoke('/count', pieces(bytes));
    const counted = Number(new TextDecoder().decode(await wholeOf(result)));
    if (counted !== bytes) throw new Error(`The function counted ${counted} of ${bytes} bytes.`);
  }

  #invoke(path: string, body: Invocation['body'], more: Partial<Invocation> = {}): Promise<InvocationResult> {
    const job = randomUUID();
    return this.#instance.invoke({
      job,
      mode: 'http',
      method: 'POST',
      path,
      headers: [['content-type', 'application/json']],
      body,
      timeoutMs: 120_000,
      context: { call: 'call', job, attempt: 1, function: 'bench/echo', version: 'f'.repeat(64), memoryMiB: 128 },
      ...more,
    });
  }
}

const pieceBytes = 65_536;

/** So many bytes, in pieces. */
async function* pieces(bytes: number): AsyncGenerator<Uint8Array, void, undefined> {
  const piece = new Uint8Array(pieceBytes).fill(120);
  for (let left = bytes; left > 0; left -= pieceBytes) yield left < pieceBytes ? piece.subarray(0, left) : piece;
}

async function wholeOf(result: InvocationResult): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  if (result.body instanceof Uint8Array) parts.push(result.body);
  else for await (const part of result.body) parts.push(part);
  await ended(result);
  return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
}

/** @throws Error with the function's own words when it has failed */
async function ended({ finished, completed }: InvocationResult): Promise<void> {
  const { outcome, error } = completed ?? (await finished);
  if (outcome !== 'ok') throw new Error(`${outcome}: ${error ?? 'no reason given'}`);
}
