import {
  OrbError,
  accountId,
  chainId,
  checkJobProof,
  type AccountId,
  type ChainId,
  type CheckedJobProof,
  type JobProof,
  type Signer,
} from '@orb/protocol';
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
import {
  callFunction,
  fetchFunction,
  streamFunction,
  type CallInfo,
  type CallOptions,
  type CallResult,
  type CallStream,
  type FunctionRequest,
  type StreamOptions,
} from './call.ts';
import { FunctionsClient, type Owner } from './functions-client.ts';
import { Http, type HttpOptions } from './http.ts';
import { LedgerClient } from './ledger-client.ts';
import { TokensClient } from './tokens-client.ts';

export interface OrbOptions extends HttpOptions {
  /** Who signs; calling public functions needs nobody. */
  readonly account?: {
    readonly signer: Signer;
    /** @default the id of the signer's key; name it once the account has changed its key */
    readonly id?: AccountId;
  };
  /** The network that is meant. A super node of another one is refused. @default whichever the super node belongs to */
  readonly chain?: ChainId;
}

/** A transaction of 256 KiB, and what came of every other one of its block. */
const proofBytes = 32 * 1024 * 1024;

/** One network as seen through its super nodes, one at a time: call functions, own them, read the ledger. */
export class Orb {
  readonly ledger: LedgerClient;
  readonly accounts: AccountsClient;
  readonly functions: FunctionsClient;
  readonly allowances: AllowancesClient;
  readonly tokens: TokensClient;
  readonly #http: Http;
  readonly #options: OrbOptions;
  #network: Promise<NetworkInfo> | undefined;

  /** @throws OrbError `invalid-request` when the address is not one */
  constructor(options: OrbOptions) {
    const http = new Http(options);
    const chain = async () => (await this.#known()).chain;
    this.#http = http;
    this.#options = options;
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
   * @throws OrbError what the function did or why it could not be called
   */
  call(path: string, input?: unknown, options: CallOptions = {}): Promise<CallResult> {
    return callFunction(this.#caller(), path, input, options);
  }

  /**
   * Calls `OWNER/NAME` and hands its output over as the function makes it.
   * @throws OrbError as {@link call}, as far as it is known before the first byte
   */
  stream(path: string, input?: unknown, options: StreamOptions = {}): Promise<CallStream> {
    return streamFunction(this.#caller(), path, input, options);
  }

  /** Sends a web request to `OWNER/NAME[/path][?query]`; the answer is the function's own, its body unread: it streams. */
  fetch(path: string, request: FunctionRequest = {}): Promise<{ readonly response: Response; readonly info: CallInfo }> {
    return fetchFunction(this.#caller(), path, { method: 'GET', ...request });
  }

  /** A snapshot of super nodes, nodes, functions, recent jobs and ledger head, as the status page shows it. */
  status(): Promise<Readonly<Record<string, unknown>>> {
    return this.#http.json('/v1/status', statusSchema);
  }

  async nodes(): Promise<readonly NodeInfo[]> {
    return (await this.#http.json('/v1/nodes', nodesSchema)).nodes;
  }

  /** Recent jobs, newest first. */
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
  async jobProof(id: string): Promise<{ readonly file: JobProof; readonly checked: CheckedJobProof }> {
    const file = await this.#http.json(`/v1/jobs/${encodeURIComponent(id)}/proof`, anyAnswerSchema, { limit: proofBytes });
    const checked = checkJobProof(file, await this.#caller().chain());
    if (checked.job !== id) throw new OrbError('protocol-violation', { message: 'The super node sent the proof of another job.' });
    return { file: file as JobProof, checked };
  }

  #caller() {
    return { http: this.#http, chain: async () => (await this.#known()).chain, signer: this.#options.account?.signer };
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
