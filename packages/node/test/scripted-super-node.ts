import type { IncomingCall, Link, LinkAnswer, LinkListener, LinkTransport, OutgoingAnswer } from '@orb/link';
import {
  createSigner,
  decodeReplicas,
  functionId,
  limits,
  nodeId,
  offerSchema,
  parseManifest,
  receiptText,
  requestHash,
  rootBytes,
  rowsRoot,
  runTrailerSchema,
  sha256,
  signRoot,
  signTransaction,
  superNodeId,
  ticketRow,
  ticketText,
  verify,
  versionId,
  type Manifest,
  type ManifestInput,
  type Offer,
  type RunRequest,
  type RunTrailer,
  type SeedRequest,
  type SignedRoot,
  type Signer,
  type Ticket,
  type TicketRow,
} from '@orb/protocol';

export const chain = sha256('orb test chain');

/** A key that is the same in every run. */
export function testSigner(name: string): Signer {
  return createSigner(testSeed(name));
}

export function testSeed(name: string): string {
  return sha256(`orb test key ${name}`);
}

/** A function as its owner publishes it. */
export interface TestFunction {
  readonly code: Uint8Array;
  readonly manifest: Manifest;
  readonly request: SeedRequest;
  readonly control: Signer;
}

const account = sha256('orb test account');

export function testFunction(name: string, source: string, manifest: Partial<ManifestInput> = {}): TestFunction {
  const code = new TextEncoder().encode(source);
  const full = parseManifest({
    v: 1,
    kind: 'bundle',
    runtime: 'deno-2',
    code: { sha256: sha256(code), bytes: code.length },
    priceCap: '1000',
    ...manifest,
  });
  const control = testSigner(`control ${name}`);
  const body = {
    account,
    sequence: 1,
    name,
    incarnation: 1,
    controlKey: control.publicKey,
    recoveryKey: testSigner(`recovery ${name}`).publicKey,
    manifest: full,
  };
  const transaction = signTransaction(chain, 'function.create', body, [control, testSigner('owner')]);
  const fn = functionId(account, name, 1);
  return {
    code,
    manifest: full,
    control,
    request: { name: `owner/${name}`, account, function: fn, version: versionId(full), transaction },
  };
}

export interface RunOptions {
  readonly body?: Uint8Array | AsyncIterable<Uint8Array>;
  readonly ticket?: Partial<Ticket>;
  readonly request?: Partial<RunRequest>;
  readonly signal?: AbortSignal;
  /** Hands the ticket out without counting it for the next root. */
  readonly unlisted?: boolean;
}

export interface Answered {
  readonly header: { status: number; headers: [string, string][] };
  readonly body: Uint8Array;
  readonly trailer: RunTrailer;
  readonly ticket: TicketRow;
}

/** The other side of a node's link, doing what a test tells it. Everything the node says is checked as a super node would. */
export class ScriptedSuperNode {
  readonly signer: Signer;
  readonly node: Signer;
  readonly offers: Offer[] = [];
  /** What the newest offer lists. */
  replicas: string[] = [];
  readonly roots: SignedRoot[] = [];
  readonly notices: [string, unknown][] = [];
  /** Rows by batch and index, as they came in trailers. */
  readonly rows = new Map<number, string[]>();
  readonly functions: TestFunction[] = [];
  settledBatch = 0;
  fetched = 0;
  /** Answers `fetch-code` instead of the functions' own code. */
  codeFor: ((sha256: string) => Uint8Array) | undefined;
  link: Link | undefined;
  #listener: LinkListener | undefined;
  #sequence = 0;
  #ticketBatch = 0;
  #tickets: string[] = [];
  #waiting: { readonly until: () => boolean; readonly resolve: () => void }[] = [];

  constructor(node: Signer, name = 'super node') {
    this.node = node;
    this.signer = testSigner(name);
  }

  get address(): string {
    return this.#listener!.address;
  }

  async listen(transport: LinkTransport): Promise<void> {
    this.#listener = await transport.listen({
      identity: { chain, role: 'super-node', signer: this.signer },
      handler: { call: (call) => this.#answer(call), notice: (method, header) => this.#notice(method, header) },
      authorize: () => undefined,
      onLink: (link) => {
        this.link = link;
        this.#tickets = [];
        this.#check();
      },
    });
  }

  async close(): Promise<void> {
    await this.#listener?.close();
  }

  /** Resolves when a condition holds; checked at each message of the node. */
  async until(condition: () => boolean): Promise<void> {
    if (condition()) return;
    await new Promise<void>((resolve) => this.#waiting.push({ until: condition, resolve }));
  }

  /** Resolves when the node is linked and has offered. */
  async linked(): Promise<void> {
    const before = this.offers.length;
    await this.until(() => this.offers.length > before || (this.link !== undefined && this.offers.length > 0));
  }

  async seed(fn: TestFunction, request: Partial<SeedRequest> = {}): Promise<{ seeding: boolean; reason?: string }> {
    this.functions.push(fn);
    const answer = await this.link!.call('seed', { ...fn.request, ...request });
    return answer.header as { seeding: boolean; reason?: string };
  }

  /** One job, from ticket to trailer. @throws OrbError the node's refusal */
  async run(fn: TestFunction, options: RunOptions = {}): Promise<Answered> {
    const { answer, ticket } = await this.send(fn, options);
    const body = await answer.body.bytes(10_000_000);
    const trailer = runTrailerSchema.parse(await answer.trailer);
    this.#keepRow(ticket, trailer);
    return { header: answer.header as Answered['header'], body, trailer, ticket };
  }

  /** A job whose answer the test reads itself. */
  async send(fn: TestFunction, options: RunOptions = {}): Promise<{ answer: LinkAnswer; ticket: TicketRow }> {
    const { ticket, request, body } = this.job(fn, options);
    if (!options.unlisted) this.#tickets.push(ticketText(ticket));
    const answer = await this.link!.call('run', request, body, options.signal && { signal: options.signal });
    return { answer, ticket };
  }

  job(
    fn: TestFunction,
    { body = new Uint8Array(0), ticket = {}, request = {} }: RunOptions = {},
  ): { ticket: TicketRow; request: RunRequest; body: NonNullable<RunOptions['body']> } {
    const head = { method: 'POST', path: '/', headers: [] as [string, string][], mode: 'http' as const, ...request };
    const row = ticketRow({
      allowance: sha256('allowance').slice(0, 32),
      sequence: ++this.#sequence,
      attempt: 1,
      call: sha256(`call ${this.#sequence}`).slice(0, 32),
      function: fn.request.function,
      version: fn.request.version,
      parameters: 1,
      rate: '10',
      maxCost: (10n ** 18n).toString(),
      requestHash: body instanceof Uint8Array ? requestHash(head.method, head.path, sha256(body)) : '',
      notAfter: Date.now() + 30_000,
      ...ticket,
    });
    return { ticket: row, request: { ticket: row, ...head }, body };
  }

  /** Signs a root over the tickets sent since the last one. @param change to lie */
  signTickets(change: Partial<SignedRoot> = {}): SignedRoot {
    const texts = this.#tickets;
    this.#tickets = [];
    const facts = { batch: ++this.#ticketBatch, count: texts.length, root: rowsRoot(texts), ...change };
    const root = { ...facts, signature: signRoot('tickets', { ...this.#parties(), ...facts }, this.signer), ...change };
    this.link!.notify('tickets', root);
    return root;
  }

  /** Waits for a root and checks it against the rows that came. */
  async provenBatch(batch: number): Promise<readonly string[]> {
    await this.until(() => this.roots.some((root) => root.batch === batch));
    const { signature, ...facts } = this.roots.find((root) => root.batch === batch)!;
    if (!verify(this.node.publicKey, rootBytes('receipts', { ...this.#parties(), ...facts }), signature))
      throw new Error('the root is not signed by the node');
    const rows = this.rows.get(batch) ?? [];
    if (rows.length !== facts.count || rowsRoot(rows) !== facts.root)
      throw new Error(`root ${batch} does not cover the ${rows.length} rows that came`);
    return rows;
  }

  settle(batch: number): void {
    this.settledBatch = batch;
    this.link!.notify('settled', { batch });
  }

  #parties() {
    return { chain, superNode: superNodeId(this.signer.publicKey), node: nodeId(this.node.publicKey) };
  }

  #keepRow(ticket: TicketRow, { batch, index, receipt }: RunTrailer): void {
    const rows = this.rows.get(batch) ?? [];
    this.rows.set(batch, rows);
    if (rows[index] !== undefined) throw new Error(`place ${batch}/${index} was used twice`);
    rows[index] = receiptText(ticket, receipt);
  }

  async #answer({ method, header, body: listed }: IncomingCall): Promise<OutgoingAnswer> {
    if (method === 'offer') {
      const offer = offerSchema.parse(header);
      this.replicas = decodeReplicas(await listed.bytes(32 * limits.nodeReplicas), offer.replicas!);
      this.offers.push(offer);
      this.#check();
      return { header: { settledBatch: this.settledBatch, timeMs: Date.now() } };
    }
    if (method !== 'fetch-code') throw new Error(`unexpected ${method}`);
    this.fetched++;
    const { sha256: wanted } = header as { sha256: string };
    const body = this.codeFor ? this.codeFor(wanted) : this.functions.find(({ manifest }) => manifest.code.sha256 === wanted)!.code;
    return { header: {}, body };
  }

  #notice(method: string, header: unknown): void {
    if (method === 'receipts') this.roots.push(header as SignedRoot);
    else this.notices.push([method, header]);
    this.#check();
  }

  #check(): void {
    this.#waiting = this.#waiting.filter(({ until, resolve }) => {
      if (!until()) return true;
      resolve();
      return false;
    });
  }
}
