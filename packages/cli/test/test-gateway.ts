import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  OrbError,
  accountId,
  asOrbError,
  checkSignedRequest,
  createSigner,
  randomBytes,
  sha256,
  signTransaction,
  stateKeys,
  superNodeId,
  toHex,
  type AccountRecord,
  type FunctionNameRecord,
  type FunctionRecord,
  type Genesis,
  type Signer,
  type Transaction,
  type TransactionBody,
  type TransactionKind,
  type VersionRecord,
} from '@orb/protocol';
import { createGenesis } from '@orb/ledger';
import { createMemoryLedger } from '@orb/ledger/memory';

type MemoryLedger = Awaited<ReturnType<typeof createMemoryLedger>>;
type Answer = {
  readonly status?: number;
  readonly json?: unknown;
  readonly lines?: readonly unknown[];
  readonly bytes?: Uint8Array;
  readonly headers?: Record<string, string>;
};

interface Asked {
  readonly request: IncomingMessage;
  readonly url: URL;
  readonly body: Buffer;
}

const signer = (): Signer => createSigner(toHex(randomBytes(32)));

/**
 * A gateway for tests without nodes: the API of docs/reference/http-api.md over a real ledger in memory, with real
 * signatures. Functions are answered by `answerCall`, seeding by `seeders`.
 */
export class TestGateway {
  readonly url: string;
  readonly ledger: MemoryLedger;
  readonly genesis: Genesis;
  readonly code = new Map<string, Buffer>();
  /** Labels of the nodes that would seed. */
  seeders: readonly string[] = ['node-1', 'node-2'];
  /** What functions do. @default echoes the body as JSON */
  answerCall: (asked: Asked) => Answer | Promise<Answer> = ({ body }) => ({ bytes: body, headers: { 'content-type': 'application/json' } });
  /** Runs before each request; may throw to make it fail. */
  onRequest: (asked: Asked) => void | Promise<void> = () => undefined;
  readonly #server: Server;
  readonly #treasury: Signer;
  readonly #superNode: Signer;

  private constructor(server: Server, ledger: MemoryLedger, keys: { treasury: Signer; superNode: Signer }) {
    this.#server = server;
    this.#treasury = keys.treasury;
    this.#superNode = keys.superNode;
    this.ledger = ledger;
    this.genesis = ledger.genesis;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  static async start(): Promise<TestGateway> {
    const [treasury, ordererKey, superNode, operator] = [signer(), signer(), signer(), signer()];
    const genesis = createGenesis({
      name: 'test-net',
      treasuryKey: treasury.publicKey,
      ordererKey: ordererKey.publicKey,
      parameters: { minBond: '1' },
    });
    const ledger = await createMemoryLedger({ genesis, ordererKey });
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const gateway = new TestGateway(server, ledger, { treasury, superNode });
    server.on('request', (request, response) => void gateway.#answer(request, response));
    await gateway.#setUp(operator);
    return gateway;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
    await this.ledger.close();
  }

  /** Money from the treasury, as the faucet gives it. */
  async mint(to: string, units = this.genesis.parameters.faucetGrant) {
    const { sequence } = (await this.ledger.get(stateKeys.account(accountId(this.#treasury.publicKey)))) as unknown as AccountRecord;
    return this.#submit('treasury.mint', { sequence: sequence + 1, to, units }, [this.#treasury]);
  }

  async #setUp(operator: Signer): Promise<void> {
    const id = accountId(operator.publicKey);
    await this.#submit('account.create', { name: 'operator', key: operator.publicKey, roles: ['peer'] }, [operator]);
    await this.mint(id);
    const body = { account: id, sequence: 1, key: this.#superNode.publicKey, address: 'wss://127.0.0.1:1', gateway: this.url, bond: '1' };
    await this.#submit('super-node.register', body, [operator, this.#superNode]);
  }

  #submit<K extends TransactionKind>(kind: K, body: TransactionBody<K>, signers: readonly Signer[]) {
    return this.ledger.submit(signTransaction(this.ledger.chain, kind, body, signers) as unknown as Transaction);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const asked = { request, url: new URL(request.url!, this.url), body: Buffer.concat(chunks) };
    let answer: Answer;
    try {
      await this.onRequest(asked);
      answer = await this.#route(asked);
    } catch (error) {
      const known = asOrbError(error);
      answer = { status: known.status, json: { error: known.toJSON() } };
    }
    const text = answer.lines
      ? answer.lines.map((line) => `${JSON.stringify(line)}\n`).join('')
      : answer.json === undefined
        ? undefined
        : JSON.stringify(answer.json);
    response.writeHead(answer.status ?? 200, {
      ...(answer.json !== undefined && { 'content-type': 'application/json' }),
      ...answer.headers,
    });
    response.end(text ?? answer.bytes);
  }

  async #route(asked: Asked): Promise<Answer> {
    const { request, url } = asked;
    const [root, ...parts] = url.pathname.slice(1).split('/').map(decodeURIComponent);
    if (root === 'fn') return this.answerCall(asked);
    const route = `${request.method} ${parts[0]}`;
    if (route === 'GET network') return { json: await this.#network() };
    if (route === 'POST faucet') return { json: await this.mint((JSON.parse(asked.body.toString()) as { account: string }).account) };
    if (route === 'GET nodes') return { json: { nodes: [] } };
    if (route === 'GET jobs' && parts.length === 1) return { json: { jobs: [] } };
    if (route === 'GET functions' && parts.length === 1) return { json: { functions: await this.#list() } };
    if (route === 'GET functions') return { json: await this.#describe(parts[1]!, parts[2]!) };
    if (route === 'POST functions') return this.#seed(asked, parts[1]!, parts[2]!);
    if (route === 'PUT code') return this.#keepCode(asked, parts[1]!);
    if (parts[0] === 'ledger') return this.#ledgerRoute(asked, parts.slice(1));
    throw new OrbError('not-found');
  }

  async #ledgerRoute({ request, url, body }: Asked, [what, id]: string[]): Promise<Answer> {
    const query = (name: string) => url.searchParams.get(name);
    if (request.method === 'POST') return { json: await this.ledger.submit(JSON.parse(body.toString()) as Transaction) };
    if (what === 'state' && query('key') !== null) {
      const value = await this.ledger.get(query('key')!);
      if (value === undefined) throw new OrbError('not-found');
      return { json: { key: query('key'), value } };
    }
    if (what === 'state') {
      const after = query('after');
      return {
        json: { entries: await this.ledger.range(query('prefix')!, { limit: Number(query('limit')), ...(after !== null && { after }) }) },
      };
    }
    if (what === 'history') return { json: { changes: await this.ledger.history(query('key')!, { limit: Number(query('limit')) }) } };
    if (what === 'blocks' && id !== undefined) return { json: (await this.ledger.block(Number(id))) ?? missing() };
    if (what === 'blocks') {
      const end = Math.min(Number(query('from')) + Number(query('limit')), this.ledger.head.height + 1);
      const heights = Array.from({ length: Math.max(0, end - Number(query('from'))) }, (_, i) => Number(query('from')) + i);
      return { lines: await Promise.all(heights.map((height) => this.ledger.block(height))) };
    }
    const place = (await this.ledger.locate(id!)) ?? missing();
    return { json: { ...place, transaction: (await this.ledger.block(place.height))!.transactions[place.index] } };
  }

  async #network(): Promise<object> {
    const { chain, genesis, head } = this.ledger;
    const superNode = await this.ledger.get(stateKeys.superNode(superNodeId(this.#superNode.publicKey)));
    return {
      name: genesis.name,
      network: genesis.network,
      chain,
      genesis,
      parameters: genesis.parameters,
      head,
      superNode,
      software: 'test',
    };
  }

  #keepCode(asked: Asked, hash: string): Answer {
    this.#identify(asked);
    if (sha256(asked.body) !== hash) throw new OrbError('code-mismatch');
    this.code.set(hash, asked.body);
    return { status: 201, json: {} };
  }

  async #seed(asked: Asked, owner: string, name: string): Promise<Answer> {
    this.#identify(asked);
    const { current } = await this.#find(owner, name);
    const wanted = current.manifest.replicas;
    if (this.seeders.length === 0) {
      const error = new OrbError('no-node-fits', { message: `Nobody seeds ${owner}/${name}: no node is online.` });
      return { lines: [{ type: 'failed', error: error.toJSON() }] };
    }
    const nodes = this.seeders.slice(0, wanted);
    const steps = nodes.flatMap((label, i) => [
      { type: 'asked', node: sha256(label), label, ready: i, wanted },
      { type: 'ready', node: sha256(label), label, ready: i + 1, wanted },
    ]);
    return { lines: [...steps, { type: 'done', ready: nodes.length, wanted }] };
  }

  #identify({ request, url, body }: Asked): void {
    checkSignedRequest(
      { method: request.method!, url: url.href, body },
      request.headers as Record<string, string>,
      this.ledger.chain,
      Date.now(),
    );
  }

  async #find(owner: string, name: string): Promise<{ record: FunctionRecord; current: VersionRecord }> {
    const account = (await this.ledger.get(stateKeys.accountName(owner))) as string | undefined;
    const holder = account && ((await this.ledger.get(stateKeys.functionName(account, name))) as FunctionNameRecord | undefined);
    const record = holder ? ((await this.ledger.get(stateKeys.function(holder.function))) as unknown as FunctionRecord) : undefined;
    if (!record || record.state === 'decommissioned')
      throw new OrbError('unknown-function', { message: `There is no function ${owner}/${name}.` });
    const version = (await this.ledger.get(stateKeys.versionNumber(record.id, record.traffic[0]![0]))) as string;
    return { record, current: (await this.ledger.get(stateKeys.version(record.id, version))) as unknown as VersionRecord };
  }

  async #describe(owner: string, name: string): Promise<object> {
    const { record, current } = await this.#find(owner, name);
    const replicas = { ready: Math.min(this.seeders.length, current.manifest.replicas), wanted: current.manifest.replicas, nodes: [] };
    return {
      owner,
      name,
      id: record.id,
      state: record.state,
      versionNumber: current.number,
      url: `${this.url}/fn/${owner}/${name}`,
      replicas,
      record,
      version: current,
    };
  }

  async #list(): Promise<readonly object[]> {
    const names = await this.ledger.range('function/', { limit: 1_000 });
    const records = names.map(({ value }) => value as unknown as FunctionRecord).filter(({ state }) => state !== 'decommissioned');
    return Promise.all(
      records.map(async ({ account, name }) => {
        const { name: owner } = (await this.ledger.get(stateKeys.account(account))) as unknown as AccountRecord;
        return this.#describe(owner, name);
      }),
    );
  }
}

function missing(): never {
  throw new OrbError('not-found');
}
