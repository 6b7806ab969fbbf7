import {
  accountId,
  allowanceId,
  canonical,
  createSigner,
  functionId,
  jobRow,
  newestRules,
  nodeId,
  parseManifest,
  receiptText,
  rowsRoot,
  sha256,
  signRoot,
  signTransaction,
  stateKeys,
  superNodeId,
  versionId,
  type AccountRecord,
  type Acknowledgement,
  type BalanceRecord,
  type Genesis,
  type JobRow,
  type Manifest,
  type Parameters,
  type Receipt,
  type Signer,
  type Ticket,
  type Transaction,
  type TransactionBody,
  type TransactionKind,
} from '@orb/protocol';
import { createGenesis } from '../genesis.ts';
import type { Committed, Ledger } from '../port.ts';

/** Hours of a test network's ledger, moved by hand. */
export class TestClock {
  now = 1_800_000_000_000;
  readonly read = (): number => this.now;
  advance(ms: number): void {
    this.now += ms;
  }
}

/** A key made from a public name: worthless outside tests, the same in every run. */
export function testSigner(name: string): Signer {
  return createSigner(sha256(`orb test key ${name}`));
}

export const orderer = testSigner('orderer');
export const treasury = testSigner('treasury');

/** A genesis that is the same in every run. */
export function testGenesis(parameters: Partial<Genesis['parameters']> = {}): Genesis {
  const genesis = createGenesis({
    name: 'test',
    treasuryKey: treasury.publicKey,
    ordererKey: orderer.publicKey,
    time: 1_800_000_000_000,
    parameters: { disputeWindowMs: 10_000, graceMs: 5_000, minBond: '100', rules: newestRules, ...parameters },
  });
  return { ...genesis, salt: sha256('orb test salt') };
}

export function testManifest(changes: Partial<Manifest> = {}, code = 'code'): Manifest {
  return parseManifest({
    v: 1,
    kind: 'bundle',
    runtime: 'deno-2',
    code: { sha256: sha256(code), bytes: 10 },
    memoryMiB: 64,
    priceCap: '1000',
    ...changes,
  });
}

/** Who plays in the scenarios of this package, on a ledger of any engine. */
export class TestNetwork {
  readonly ledger: Ledger;
  readonly clock: TestClock;
  #sweeps = 0;

  constructor(ledger: Ledger, clock: TestClock) {
    this.ledger = ledger;
    this.clock = clock;
  }

  sign<K extends TransactionKind>(kind: K, body: TransactionBody<K>, ...signers: Signer[]): Transaction {
    return signTransaction(this.ledger.chain, kind, body, signers) as unknown as Transaction;
  }

  send<K extends TransactionKind>(kind: K, body: TransactionBody<K>, ...signers: Signer[]): Promise<Committed> {
    return this.ledger.submit(this.sign(kind, body, ...signers));
  }

  /** The next sequence number of an account. */
  async next(signer: Signer): Promise<number> {
    const account = (await this.ledger.get(stateKeys.account(accountId(signer.publicKey)))) as unknown as AccountRecord;
    return account.sequence + 1;
  }

  async createAccount(name: string, units?: bigint): Promise<Signer> {
    const signer = testSigner(name);
    await this.send('account.create', { name, key: signer.publicKey, roles: ['developer', 'provider', 'peer'] }, signer);
    if (units !== undefined) await this.mint(signer, units);
    return signer;
  }

  async mint(to: Signer, units: bigint): Promise<Committed> {
    return this.send('treasury.mint', { sequence: await this.next(treasury), to: accountId(to.publicKey), units: String(units) }, treasury);
  }

  async registerSuperNode(owner: Signer, name: string, bond = 100n): Promise<Signer> {
    const key = testSigner(name);
    const body = {
      account: accountId(owner.publicKey),
      sequence: await this.next(owner),
      key: key.publicKey,
      address: 'wss://super.test:7777',
      gateway: 'https://super.test',
      bond: String(bond),
    };
    await this.send('super-node.register', body, owner, key);
    return key;
  }

  async registerNode(owner: Signer, name: string): Promise<Signer> {
    const key = testSigner(name);
    await this.send(
      'node.register',
      { account: accountId(owner.publicKey), sequence: await this.next(owner), key: key.publicKey, label: name },
      owner,
      key,
    );
    return key;
  }

  async createFunction(
    owner: Signer,
    name: string,
    manifest = testManifest(),
  ): Promise<{ id: string; version: string; controlKey: Signer; recoveryKey: Signer; manifest: Manifest }> {
    const controlKey = testSigner(`${name} control`);
    const recoveryKey = testSigner(`${name} recovery`);
    const account = accountId(owner.publicKey);
    const body = {
      account,
      sequence: await this.next(owner),
      name,
      incarnation: 1,
      controlKey: controlKey.publicKey,
      recoveryKey: recoveryKey.publicKey,
      manifest,
    };
    await this.send('function.create', body, owner, controlKey);
    return { id: functionId(account, name, 1), version: versionId(manifest), controlKey, recoveryKey, manifest };
  }

  async openAllowance(payer: Signer, superNode: Signer, changes: Partial<TransactionBody<'allowance.open'>> = {}): Promise<string> {
    const body = {
      payer: accountId(payer.publicKey),
      sequence: await this.next(payer),
      superNode: superNodeId(superNode.publicKey),
      functions: '*' as const,
      maxUnits: '1000000',
      maxPerCall: '100000',
      expires: this.clock.now + 60_000,
      ...changes,
    };
    await this.send('allowance.open', body, payer);
    return allowanceId(body.payer, body.sequence);
  }

  sweep(owner: Signer, superNode: Signer, signer = owner): Promise<Committed> {
    const body = { account: accountId(owner.publicKey), superNodes: [superNodeId(superNode.publicKey)], at: this.#sweeps++ };
    return this.send('credit.sweep', body, signer);
  }

  /** The treasury, which decides as long as nobody else does, lists accounts as peers. */
  async listPeers(peers: readonly Signer[]): Promise<Committed> {
    const version = (await this.ledger.get(stateKeys.currentParameters)) as number;
    const { fromHeight: _, ...parameters } = (await this.ledger.get(stateKeys.parameters(version))) as unknown as Parameters;
    const next = { ...parameters, version: version + 1, peers: peers.map(({ publicKey }) => accountId(publicKey)) };
    const sequence = await this.next(treasury);
    const body = { account: accountId(treasury.publicKey), sequence, subject: { type: 'parameters' as const, parameters: next } };
    return this.send('peer.vote', body, treasury);
  }

  /** What an account can spend. */
  async available(signer: Signer): Promise<bigint> {
    const balance = (await this.ledger.get(stateKeys.balance(accountId(signer.publicKey)))) as unknown as BalanceRecord | undefined;
    return BigInt(balance?.available ?? '0');
  }

  /** Rows under their node's root, as a settlement carries them. */
  batch(superNode: Signer, node: Signer, rows: readonly JobRow[], number = 1): TransactionBody<'job.settle'>['batches'][number] {
    const forms = rows.map(jobRow);
    const root = rowsRoot(forms.map(([ticket, receipt]) => receiptText(ticket, receipt)));
    const ids = { chain: this.ledger.chain, superNode: superNodeId(superNode.publicKey), node: nodeId(node.publicKey) };
    return {
      node: ids.node,
      batch: number,
      signature: signRoot('receipts', { ...ids, batch: number, count: forms.length, root }, node),
      rows: forms,
    };
  }

  settle(
    superNode: Signer,
    batches: TransactionBody<'job.settle'>['batches'],
    lost: TransactionBody<'job.settle'>['lost'] = [],
  ): Promise<Committed> {
    return this.send('job.settle', { superNode: superNodeId(superNode.publicKey), batches, lost }, superNode);
  }
}

/** A job that ran for 3 ms and was received. */
export function testJob(
  ticket: Partial<Ticket> & Pick<Ticket, 'allowance' | 'sequence' | 'function' | 'version' | 'notAfter'>,
  receipt: Partial<Receipt> = {},
  acknowledgement: Partial<Acknowledgement> = {},
): JobRow {
  return {
    ticket: {
      attempt: 1,
      call: sha256(canonical(ticket)).slice(0, 32),
      parameters: 1,
      rate: '10',
      maxCost: '100000',
      requestHash: sha256('request'),
      ...ticket,
    },
    receipt: {
      setupUs: 500,
      runUs: 2_500,
      cpuUs: 2_000,
      peakMemoryKiB: 1_024,
      bytesIn: 10,
      bytesOut: 20,
      requestHash: '',
      resultHash: sha256('result'),
      outcome: 'ok',
      ...receipt,
    },
    acknowledgement: { received: true, observedUs: 3_500, prcUs: 400, rspUs: 5_000, doneAtMs: 1_800_000_000_000, ...acknowledgement },
  };
}

export { claim, conclude } from './claims.ts';
