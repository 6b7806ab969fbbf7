import { createHash } from 'node:crypto';
import {
  encodeReplicas,
  nodeId,
  receiptRow,
  receiptText,
  replicaId,
  requestHash,
  resultHash,
  rowsRoot,
  runRequestSchema,
  sha256,
  signRoot,
  streamedRequestHash,
  streamMark,
  superNodeId,
  utf8,
  type Offer,
  type Receipt,
  type ReceiptRow,
  type RunRequest,
  type RunTrailer,
  type SeedAnswer,
  type SeedRequest,
  type Signer,
  type TicketRow,
} from '@orb/protocol';
import type { IncomingCall, Link, LinkHandler, LinkTransport, OutgoingAnswer } from '@orb/link';

/** How a scripted node behaves. What is left out is done right. */
export interface Script {
  readonly offer?: Partial<Offer>;
  /** What the function does; throws to refuse the job, never settles to hang. */
  run?(request: RunRequest, body: Uint8Array, node: ScriptedNode): Promise<Answer> | Answer;
  /** What a function does that streams, in place of `run`: its answer's pieces, made of its request's as they come. */
  stream?(request: RunRequest, body: AsyncIterable<Uint8Array>, call: IncomingCall): AsyncIterable<Uint8Array>;
  /** Changes the receipt before it is sent: a liar. */
  lie?(receipt: Receipt): Receipt;
  /** Keeps secrets: what a node's key would find in a box, its number first. @throws to refuse the box */
  takeSecrets?(fn: string, box: Uint8Array): number;
  /** Says whose versions it holds, as a node of this version does: what it was asked to seed, and no more. */
  readonly tellsReplicas?: boolean;
  /** What it answers when it is asked to seed, and tells before: how far an image is. */
  seed?(tell: (receivedBytes: number, totalBytes: number) => void): Promise<SeedAnswer>;
  /** Refuses to seed, with this reason. */
  readonly refuseSeeding?: string;
  /** Signs no roots. */
  readonly silent?: boolean;
}

interface Answer {
  readonly status?: number;
  readonly headers?: [string, string][];
  readonly body?: Uint8Array | string;
  readonly outcome?: Receipt['outcome'];
  readonly error?: string;
  readonly runUs?: number;
}

/** The node's half of the protocol over a real link, with a script in place of the sandbox. One batch a job. */
export class ScriptedNode implements LinkHandler {
  readonly id: string;
  readonly signer: Signer;
  readonly jobs: RunRequest[] = [];
  readonly notices: [string, unknown][] = [];
  readonly seeds = new Set<string>();
  /** Ids of what it was asked to seed. */
  readonly replicas = new Set<string>();
  /** Numbers of the secrets that it holds, by function. */
  readonly secrets = new Map<string, number>();
  readonly #script: Script;
  readonly #network: { readonly transport: LinkTransport; readonly chain: string; readonly superNode: string };
  #link: Link | undefined;
  #batch = 0;
  readonly #rows = new Map<number, [TicketRow, ReceiptRow]>();

  constructor(
    signer: Signer,
    script: Script,
    network: { readonly transport: LinkTransport; readonly chain: string; readonly superNode: string },
  ) {
    this.id = nodeId(signer.publicKey);
    this.signer = signer;
    this.#script = script;
    this.#network = network;
  }

  async link(address: string): Promise<void> {
    const { transport, chain, superNode } = this.#network;
    this.#link = await transport.dial(address, {
      identity: { chain, role: 'node', signer: this.signer },
      handler: this,
      peerKey: superNode,
    });
    await this.#sendOffer();
  }

  async offerSeeds(versions: readonly string[]): Promise<void> {
    for (const version of versions) this.seeds.add(version);
    await this.#sendOffer();
  }

  notify(method: string, header: unknown): void {
    this.#link?.notify(method, header);
  }

  /** Has the super node call a function, as a function on this node would ask it to. */
  async callFunction(header: object, body: Uint8Array = utf8('null')): Promise<{ header: unknown; text: string }> {
    const answer = await this.#link!.call('call', header, body);
    return { header: answer.header, text: new TextDecoder().decode(await answer.body.bytes(10_000_000)) };
  }

  /** Asks the super node for code. */
  async fetchCode(hash: string): Promise<Uint8Array> {
    const answer = await this.#link!.call('fetch-code', { sha256: hash });
    return answer.body.bytes(1_000_000);
  }

  async unlink(): Promise<void> {
    await this.#link?.close();
  }

  get closed(): Promise<unknown> {
    return this.#link!.closed;
  }

  async call(call: IncomingCall): Promise<OutgoingAnswer> {
    const { method, header, body } = call;
    if (method === 'run' && this.#script.stream) return this.#stream(runRequestSchema.parse(header), call);
    if (method === 'seed') return { header: await this.#seed(header as SeedRequest) };
    if (method === 'secrets' && this.#script.takeSecrets)
      return this.#take((header as { function: string }).function, await body.bytes(100_000));
    if (method === 'run') return this.#run(runRequestSchema.parse(header), await body.bytes(10_000_000));
    if (method === 'unsettled') return this.#showBatch((header as { batch: number }).batch);
    return { header: {} };
  }

  notice(method: string, header: unknown): void {
    this.notices.push([method, header]);
  }

  async #seed({ function: fn, version }: SeedRequest): Promise<SeedAnswer> {
    const tell = (receivedBytes: number, totalBytes: number) => this.#link!.notify('fetching', { version, receivedBytes, totalBytes });
    const scripted = await this.#script.seed?.(tell);
    if (scripted?.seeding) this.seeds.add(version);
    if (scripted) return scripted;
    if (this.#script.refuseSeeding !== undefined) return { seeding: false, reason: this.#script.refuseSeeding };
    this.seeds.add(version);
    this.replicas.add(replicaId(fn, version));
    return { seeding: true };
  }

  #take(fn: string, box: Uint8Array): OutgoingAnswer {
    const number = this.#script.takeSecrets!(fn, box);
    this.secrets.set(fn, number);
    return { header: { number } };
  }

  async #run(request: RunRequest, body: Uint8Array): Promise<OutgoingAnswer> {
    this.jobs.push(request);
    const answer = (await this.#script.run?.(request, body, this)) ?? { body };
    const bytes = typeof answer.body === 'string' ? utf8(answer.body) : (answer.body ?? new Uint8Array());
    const status = answer.status ?? 200;
    const honest: Receipt = {
      setupUs: 0,
      runUs: answer.runUs ?? 1,
      cpuUs: 0,
      peakMemoryKiB: 0,
      bytesIn: body.byteLength,
      bytesOut: bytes.byteLength,
      requestHash: '',
      resultHash: resultHash(status, sha256(bytes)),
      outcome: answer.outcome ?? 'ok',
    };
    return { header: { status, headers: answer.headers ?? [] }, body: bytes, trailer: this.#trailer(request, honest, answer.error) };
  }

  /** The receipt is made when the last piece has been, as a real node does. */
  #stream(request: RunRequest, call: IncomingCall): OutgoingAnswer {
    this.jobs.push(request);
    const [sent, read] = [new Tee(), new Tee()];
    const pieces = this.#script.stream!(request, read.pass(call.body), call);
    const trailer = () => {
      const { method, path } = request;
      const streamed = request.ticket[9] === streamedRequestHash(method, path);
      return this.#trailer(request, {
        setupUs: 0,
        runUs: 1,
        cpuUs: 0,
        peakMemoryKiB: 0,
        bytesIn: read.bytes,
        bytesOut: sent.bytes,
        requestHash: streamed ? requestHash(method, path, read.sha256()) : '',
        resultHash: resultHash(200, sent.sha256()),
        outcome: 'ok',
      });
    };
    return { header: { status: 200, headers: [[...streamMark]] }, body: sent.pass(pieces), trailer };
  }

  #trailer({ ticket }: RunRequest, honest: Receipt, error?: string): RunTrailer {
    const receipt = receiptRow(this.#script.lie?.(honest) ?? honest);
    const batch = ++this.#batch;
    this.#rows.set(batch, [ticket, receipt]);
    if (!this.#script.silent) setImmediate(() => this.#signRoot(batch, ticket, receipt));
    return { receipt, batch, index: 0, ...(error !== undefined && { error }) };
  }

  #signRoot(batch: number, ticket: TicketRow, receipt: ReceiptRow): void {
    const root = rowsRoot([receiptText(ticket, receipt)]);
    const ids = { chain: this.#network.chain, superNode: superNodeId(this.#network.superNode), node: this.id };
    this.notify('receipts', { batch, count: 1, root, signature: signRoot('receipts', { ...ids, batch, count: 1, root }, this.signer) });
  }

  #showBatch(batch: number): OutgoingAnswer {
    const row = this.#rows.get(batch);
    return { header: {}, body: utf8(JSON.stringify({ root: null, rows: row ? [row] : [] })) };
  }

  async #sendOffer(): Promise<void> {
    const offer: Offer = {
      v: 1,
      platform: 'linux',
      architecture: 'x64',
      runtimes: ['deno-2'],
      isolation: 'namespaces',
      cores: 2,
      memoryMiB: 4_096,
      rate: '10',
      slots: 16,
      labels: {},
      accepting: true,
      seeds: [...this.seeds],
      lastBatch: this.#batch,
      ...(this.#script.takeSecrets && { secrets: [...this.secrets] }),
      ...(this.#script.tellsReplicas && { replicas: this.replicas.size }),
      ...this.#script.offer,
    };
    await this.#link!.call('offer', offer, this.#script.tellsReplicas ? encodeReplicas([...this.replicas]) : undefined);
  }
}

/** Counts and hashes what passes. */
class Tee {
  bytes = 0;
  readonly #hash = createHash('sha256');

  async *pass(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const piece of source) {
      this.bytes += piece.length;
      this.#hash.update(piece);
      yield piece;
    }
  }

  sha256(): string {
    return this.#hash.digest('hex');
  }
}
