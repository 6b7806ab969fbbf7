/// <reference lib="esnext.disposable" preserve="true" />
import { OrbError, accountId, chainId, checkJobProof, type AccountId, type ChainId, type JobProof, type Signer } from '@orb/protocol';
import { AccountsClient } from './accounts-client.ts';
import { AllowancesClient } from './allowances-client.ts';
import {
  anyAnswerSchema,
  jobClosedSchema,
  jobSchema,
  jobsSchema,
  networkSchema,
  nodesSchema,
  statusSchema,
  type JobClosed,
  type JobInfo,
  type JobSummary,
  type NetworkInfo,
  type NodeInfo,
} from './answers.ts';
import { CallerLink, type CallerAccess } from './calls/caller-link.ts';
import type { CallTransport } from './calls/call-port.ts';
import { HttpCalls } from './calls/http-calls.ts';
import { LinkCalls } from './calls/link-calls.ts';
import { TextBytes } from './calls/text-bytes.ts';
import {
  callFunction,
  fetchFunction,
  streamFunction,
  type CallDependencies,
  type CallInfo,
  type CallOptions,
  type CallResult,
  type CallStream,
  type FunctionRequest,
  type StreamOptions,
} from './call.ts';
import { deploy, type Deployed, type DeployOptions } from './deploy.ts';
import { FunctionsClient, type Owner } from './functions-client.ts';
import { openLinkTransport } from '#compose';
import { Http, type HttpOptions } from './http.ts';
import { LedgerClient } from './ledger-client.ts';
import { proveCall, type ProveOptions, type ProvenJob } from './prove-call.ts';
import { TokensClient } from './tokens-client.ts';

export interface OrbOptions extends HttpOptions {
  /** Who signs; calling public functions needs nobody. */
  readonly account?: {
    readonly signer: Signer;
    /** @default the id of the signer's key; name it once the account has changed its key */
    readonly id?: AccountId;
  };
  /**
   * How functions are called. `link`: over one connection to one super node at a time, which carries many calls at
   * once; not in browsers. All else goes over HTTP in any case.
   * @default 'http'
   */
  readonly transport?: 'http' | 'link';
  /** Calls as whoever made this token, in place of `account`; over a link alone, to the super node that made it. */
  readonly token?: CallerAccess;
  /**
   * How often a call is tried again that has not begun, or that may run twice, when the super node says when to come
   * again. @default 2
   */
  readonly retries?: number;
  /** A super node that asks for a longer wait than this is not waited for, milliseconds. @default 5000 */
  readonly longestWaitMs?: number;
  /** The network that is meant. A super node of another one is refused. @default whichever the super node belongs to */
  readonly chain?: ChainId;
}

/** A transaction of 256 KiB, and what came of every other one of its block. */
const proofBytes = 32 * 1024 * 1024;

/**
 * One network as seen through its super nodes, one at a time: call functions, own them, read the ledger.
 *
 * @example
 * ```ts
 * import { Orb } from '@orb/sdk';
 *
 * const orb = new Orb({ url: 'http://127.0.0.1:7080' });
 * const { output } = await orb.call('demo/hello', { name: 'Ada' });
 * console.log(output); // { hello: 'Ada' }
 * ```
 *
 * @example Many calls over one link, which ends with its block.
 * ```ts
 * import { Orb } from '@orb/sdk';
 *
 * await using orb = new Orb({ url: 'http://127.0.0.1:7080', transport: 'link' });
 * const names = ['Ada', 'Grace', 'Edsger'];
 * const answers = await Promise.all(names.map((name) => orb.call('demo/hello', { name })));
 * console.log(answers.map(({ output }) => output)); // [ { hello: 'Ada' }, { hello: 'Grace' }, { hello: 'Edsger' } ]
 * ```
 */
export class Orb {
  readonly ledger: LedgerClient;
  readonly accounts: AccountsClient;
  readonly functions: FunctionsClient;
  readonly allowances: AllowancesClient;
  readonly tokens: TokensClient;
  readonly #http: Http;
  readonly #calls: CallDependencies;
  readonly #options: OrbOptions;
  #network: Promise<NetworkInfo> | undefined;

  /** @throws OrbError `invalid-request` when the address is not one */
  constructor(options: OrbOptions) {
    const http = new Http(options);
    const chain = async () => (await this.#known()).chain;
    const { retries = 2, longestWaitMs = 5_000 } = options;
    this.#http = http;
    this.#options = options;
    this.#calls = { transport: callTransport(options, { http, chain }), retry: { retries, longestWaitMs }, texts: new TextBytes() };
    this.ledger = new LedgerClient({ http, chain });
    this.accounts = new AccountsClient({ http, ledger: this.ledger });
    this.functions = new FunctionsClient({ http, ledger: this.ledger, chain });
    this.allowances = new AllowancesClient({ ledger: this.ledger });
    this.tokens = new TokensClient({ http, sign: (owner) => this.functions.signedBy(owner) });
  }

  /** Address of the super node that is asked now. */
  get url(): string {
    return this.#http.base;
  }

  /** The account that this client signs for. @throws OrbError `unauthenticated` when it was made without one */
  get owner(): Owner {
    const { account } = this.#options;
    if (!account) throw new OrbError('unauthenticated', { message: 'This needs an account.', hint: 'Make one: orb account create NAME.' });
    return { id: account.id ?? accountId(account.signer.publicKey), signer: account.signer };
  }

  /**
   * The network and the super node as they are now.
   * @throws OrbError `wrong-chain` for another network than the one meant, or a chain id that its genesis does not have
   */
  async network(): Promise<NetworkInfo> {
    const network = await this.#http.json('/v1/network', networkSchema);
    const wanted = this.#options.chain;
    if (chainId(network.genesis) !== network.chain) {
      throw new OrbError('wrong-chain', { message: `${this.url} names a chain that its genesis does not have.`, hint: 'Do not trust it.' });
    }
    if (wanted !== undefined && network.chain !== wanted) {
      throw new OrbError('wrong-chain', {
        message: `${this.url} belongs to the network ${network.name} (chain ${network.chain.slice(0, 12)}…), not to the one meant (${wanted.slice(0, 12)}…).`,
      });
    }
    return network;
  }

  /**
   * Calls `OWNER/NAME` and waits for its output.
   * @param input JSON, or bytes; undefined sends no body
   * @throws OrbError what the function did, why it could not be called, or `wrong-receipt` for an answer that is not the
   * one on record
   * @example
   * ```ts
   * import { isOrbError, Orb } from '@orb/sdk';
   *
   * const orb = new Orb({ url: 'http://127.0.0.1:7080' });
   * try {
   *   await orb.call('demo/nothing', 1, { signal: AbortSignal.timeout(5_000) });
   * } catch (error) {
   *   if (!isOrbError(error)) throw error;
   *   console.log(error.code, error.faultOf, error.retryable); // unknown-function caller false
   * }
   * ```
   */
  call(path: string, input?: unknown, options: CallOptions = {}): Promise<CallResult> {
    return callFunction(this.#calls, path, input, options);
  }

  /**
   * Calls `OWNER/NAME` and hands its output over as the function makes it.
   * @throws OrbError as {@link call}, as far as it is known before the first byte
   * @example
   * ```ts
   * import { Orb } from '@orb/sdk';
   *
   * const orb = new Orb({ url: 'http://127.0.0.1:7080' });
   * const { body, info } = await orb.stream('demo/count', { to: 3 });
   * const text = new TextDecoder();
   * let words = '';
   * for await (const piece of body) words += text.decode(piece, { stream: true });
   * console.log(words); // 123
   * console.log(info.receipt?.checked); // { request: true, result: true }
   * ```
   */
  stream(path: string, input?: unknown, options: StreamOptions = {}): Promise<CallStream> {
    return streamFunction(this.#calls, path, input, options);
  }

  /**
   * Sends a web request to `OWNER/NAME[/path][?query]`; the answer is the function's own, its body unread: it streams.
   * @throws OrbError as {@link call}; reading the body throws `wrong-receipt` at its end
   * @example
   * ```ts
   * import { Orb } from '@orb/sdk';
   *
   * const orb = new Orb({ url: 'http://127.0.0.1:7080' });
   * const { response, info } = await orb.fetch('demo/web/greet?name=Ada', { headers: { accept: 'text/plain' } });
   * console.log(response.status, await response.text(), info.job); // 200 Hello, Ada! …
   * ```
   */
  fetch(path: string, request: FunctionRequest = {}): Promise<{ readonly response: Response; readonly info: CallInfo }> {
    return fetchFunction(this.#calls, path, request);
  }

  /**
   * Puts code on the network: hands it over, writes its version to the ledger, sets money aside, and waits until nodes are
   * ready to run it. Deploying the same again changes nothing.
   * @throws OrbError `unauthenticated` without an account, `forbidden` unless it is a developer's, `name-taken`,
   * `invalid-manifest`, `insufficient-funds`, `no-node-fits` when nobody would run it
   * @example
   * ```ts
   * import { newKey, Orb } from '@orb/sdk';
   *
   * const { signer } = newKey();
   * const orb = new Orb({ url: 'http://127.0.0.1:7080', account: { signer } });
   * const { id } = await orb.accounts.create('ada', signer, ['developer']);
   * await orb.accounts.fund(id);
   *
   * const keys = { control: newKey().signer, recovery: newKey().signer };
   * const code = 'export default ({ a, b }) => a + b;';
   * const { change } = await orb.deploy({ name: 'sum', code, keys, manifest: { replicas: 1 }, budgetUnits: 2_000_000_000n });
   * const { output } = await orb.call('ada/sum', { a: 1, b: 2 });
   * console.log(change, output); // created 3
   * ```
   */
  async deploy(options: DeployOptions): Promise<Deployed> {
    const { owner, functions, ledger, allowances, accounts } = this;
    const [network, { name: ownerName }] = await Promise.all([this.network(), this.accounts.show(owner.id)]);
    return deploy(options, { owner, ownerName, network, functions, ledger, allowances, accounts, nodes: () => this.nodes() });
  }

  /** Ends the link, where there is one: calls under way end with `link-closed`. Nothing else needs it. */
  close(): Promise<void> {
    return this.#calls.transport.close();
  }

  /** For `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** A snapshot of super nodes, nodes, functions, recent jobs and ledger head, as the status page shows it. */
  status(): Promise<Readonly<Record<string, unknown>>> {
    return this.#http.json('/v1/status', statusSchema);
  }

  async nodes(): Promise<readonly NodeInfo[]> {
    return (await this.#http.json('/v1/nodes', nodesSchema)).nodes;
  }

  /**
   * Recent jobs, newest first.
   * @example
   * ```ts
   * import { Orb } from '@orb/sdk';
   *
   * const orb = new Orb({ url: 'http://127.0.0.1:7080' });
   * await orb.call('demo/hello', { name: 'Ada' });
   * const [job] = await orb.jobs(1);
   * console.log(job.function, job.outcome); // demo/hello ok
   * ```
   */
  async jobs(limit = 20): Promise<readonly JobSummary[]> {
    return (await this.#http.json(`/v1/jobs?limit=${limit}`, jobsSchema)).jobs;
  }

  /** A job's whole story, from the ledger. @throws OrbError `not-found` also while it is not on the ledger yet */
  job(id: string): Promise<JobInfo> {
    return this.#http.json(`/v1/jobs/${encodeURIComponent(id)}`, jobSchema);
  }

  /** How a settlement closed a job, with the proof that a refund or the answer to a *lost* carries. @throws OrbError `not-found` */
  jobClosed(id: string): Promise<JobClosed> {
    return this.#http.json(`/v1/jobs/${encodeURIComponent(id)}/closed`, jobClosedSchema);
  }

  /**
   * A job's proof, checked: keep `file` as JSON, and anybody can check it again with `checkJobProof`, without asking
   * anybody.
   * @throws OrbError `not-found`; `bad-signature` or `wrong-chain` when what the super node sent does not hold
   */
  async jobProof(id: string): Promise<ProvenJob> {
    const file = await this.#http.json(`/v1/jobs/${encodeURIComponent(id)}/proof`, anyAnswerSchema, { limit: proofBytes });
    const checked = checkJobProof(file, (await this.#known()).chain);
    if (checked.job !== id) throw new OrbError('protocol-violation', { message: 'The super node sent the proof of another job.' });
    return { file: file as JobProof, checked };
  }

  /**
   * The strong check of a call. The receipt that comes with an answer is the super node's word, and one that lies could
   * make up both; what is on the ledger is signed by super node and node, and stands there for everybody. This waits until
   * the job is there, checks its proof, and compares it with what was sent and what came.
   * @throws OrbError `wrong-receipt` when the ledger has another request or result, `not-found` when it has none in time
   * @example
   * ```ts
   * import { checkJobProof, Orb } from '@orb/sdk';
   *
   * const orb = new Orb({ url: 'http://127.0.0.1:7080' });
   * const { info } = await orb.call('demo/hello', { name: 'Ada' });
   * const { file } = await orb.proveCall(info);
   * // Years later, without asking anybody:
   * const { job, row } = checkJobProof(JSON.parse(JSON.stringify(file)));
   * console.log(job === info.job, row.lost ?? 'kept'); // true kept
   * ```
   */
  proveCall(info: CallInfo, options: ProveOptions = {}): Promise<ProvenJob> {
    return proveCall(info, (id) => this.jobProof(id), options);
  }

  /** Asked once: a network's chain never changes. A failure is not remembered. */
  #known(): Promise<NetworkInfo> {
    this.#network ??= this.network().catch((error: unknown) => {
      this.#network = undefined;
      throw error;
    });
    return this.#network;
  }
}

/** How long a call waits for a link, milliseconds. */
const connectMs = 10_000;

function callTransport(
  { transport = 'http', account, token }: OrbOptions,
  { http, chain }: { readonly http: Http; readonly chain: () => Promise<ChainId> },
): CallTransport {
  const signer = account?.signer;
  if (transport === 'link') {
    const link = new CallerLink({ signer, token, connectMs }, { http, chain, openTransport: openLinkTransport });
    return new LinkCalls({ superNodes: http.bases.length, signer: token ? undefined : signer }, { link });
  }
  if (token) throw new OrbError('invalid-request', { message: 'A token is for links.', hint: "Say transport: 'link'." });
  return new HttpCalls({ http, chain, signer });
}
