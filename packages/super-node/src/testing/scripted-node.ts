import {
  nodeId,
  receiptRow,
  receiptText,
  resultHash,
  rowsRoot,
  runRequestSchema,
  sha256,
  signRoot,
  superNodeId,
  utf8,
  type Offer,
  type Receipt,
  type ReceiptRow,
  type RunRequest,
  type Signer,
  type TicketRow,
} from '@orb/protocol';
import type { IncomingCall, Link, LinkHandler, LinkTransport, OutgoingAnswer } from '@orb/link';

/** How a scripted node behaves. What is left out is done right. */
export interface Script {
  readonly offer?: Partial<Offer>;
  /** What the function does; throws to refuse the job, never settles to hang. */
  run?(request: RunRequest, body: Uint8Array, node: ScriptedNode): Promise<Answer> | Answer;
  /** Changes the receipt before it is sent: a liar. */
  lie?(receipt: Receipt): Receipt;
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
  readonly #script: Script;
  readonly #network: { readonly transport: LinkTransport; readonly chain: string; readonly superNode: string };
  #link: Link | undefined;
  #batch = 0;

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

  async call({ method, header, body }: IncomingCall): Promise<OutgoingAnswer> {
    if (method === 'seed') return { header: this.#seed(header as { version: string }) };
    if (method === 'run') return this.#run(runRequestSchema.parse(header), await body.bytes(10_000_000));
    return { header: {} };
  }

  notice(method: string, header: unknown): void {
    this.notices.push([method, header]);
  }

  #seed({ version }: { version: string }): object {
    if (this.#script.refuseSeeding !== undefined) return { seeding: false, reason: this.#script.refuseSeeding };
    this.seeds.add(version);
    return { seeding: true };
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
    const receipt = receiptRow(this.#script.lie?.(honest) ?? honest);
    const batch = ++this.#batch;
    if (!this.#script.silent) setImmediate(() => this.#signRoot(batch, request.ticket, receipt));
    const trailer = { receipt, batch, index: 0, ...(answer.error !== undefined && { error: answer.error }) };
    return { header: { status, headers: answer.headers ?? [] }, body: bytes, trailer };
  }

  #signRoot(batch: number, ticket: TicketRow, receipt: ReceiptRow): void {
    const root = rowsRoot([receiptText(ticket, receipt)]);
    const ids = { chain: this.#network.chain, superNode: superNodeId(this.#network.superNode), node: this.id };
    this.notify('receipts', { batch, count: 1, root, signature: signRoot('receipts', { ...ids, batch, count: 1, root }, this.signer) });
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
      ...this.#script.offer,
    };
    await this.#link!.call('offer', offer);
  }
}
