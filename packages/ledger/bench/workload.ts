import { stateKeys, superNodeId, type AllowanceRecord, type JobRow, type Signer, type Transaction } from '@orb/protocol';
import type { Ledger } from '../src/index.ts';
import { testJob, TestNetwork, type TestClock } from '../src/testing/network.ts';

/** How jobs come to the ledger. */
export interface Shape {
  readonly name: string;
  readonly rowsPerBatch: number;
  readonly batchesPerTransaction: number;
  readonly nodes: number;
}

/** Batches as large as the format lets them be, and those of many providers with little work each. */
export const shapes: readonly Shape[] = [
  { name: '256-row batches, 4 providers', rowsPerBatch: 256, batchesPerTransaction: 1, nodes: 4 },
  { name: '5-row batches, 1,000 providers', rowsPerBatch: 5, batchesPerTransaction: 51, nodes: 1_000 },
];

/** Each keeps its settlements in line, as a real one does: so many transactions are under way at once. */
const superNodes = 4;

/** A settlement and the line it stands in. */
export interface Settlement {
  readonly line: number;
  readonly transaction: Transaction;
}

/** Everything that settlements of a shape need on a ledger, and the settlements, each job a new one. */
export class Workload {
  readonly lines = superNodes;
  readonly rowsPerTransaction: number;
  readonly #net: TestNetwork;
  readonly #shape: Shape;
  readonly #nodes: readonly Signer[];
  readonly #superNodes: readonly Signer[];
  readonly #allowances: readonly string[];
  readonly #fn: { readonly id: string; readonly version: string };
  readonly #sequences: number[];
  #made = 0;
  #batches = 0;
  #turn = 0;

  private constructor(
    net: TestNetwork,
    shape: Shape,
    stage: { nodes: readonly Signer[]; superNodes: readonly Signer[]; allowances: readonly string[]; fn: { id: string; version: string } },
  ) {
    this.#net = net;
    this.#shape = shape;
    this.#nodes = stage.nodes;
    this.#superNodes = stage.superNodes;
    this.#allowances = stage.allowances;
    this.#fn = stage.fn;
    this.#sequences = stage.allowances.map(() => 0);
    this.rowsPerTransaction = shape.rowsPerBatch * shape.batchesPerTransaction;
  }

  /** Registers accounts, nodes, super nodes and a function, and opens an allowance at each super node. */
  static async on(ledger: Ledger, clock: TestClock, shape: Shape): Promise<Workload> {
    const net = new TestNetwork(ledger, clock);
    const payer = await net.createAccount('payer', 10n ** 20n);
    const owner = await net.createAccount('owner', 10_000n);
    const keys: Signer[] = [];
    const allowances: string[] = [];
    for (let i = 0; i < superNodes; i++) {
      keys.push(await net.registerSuperNode(owner, `super-${i}`));
      allowances.push(await net.openAllowance(payer, keys[i]!, { maxUnits: String(10n ** 18n), expires: clock.now + 86_400_000 }));
    }
    const nodes: Signer[] = [];
    for (let i = 0; i < shape.nodes; i++) nodes.push(await net.registerNode(await net.createAccount(`provider-${i}`), `node-${i}`));
    const fn = await net.createFunction(payer, 'hello');
    return new Workload(net, shape, { nodes, superNodes: keys, allowances, fn });
  }

  /** The next settlement: every row under its node's signed root, all of it under its super node's signature. */
  next(): Settlement {
    const line = this.#made++ % superNodes;
    return { line, transaction: this.#settlement(line) };
  }

  /**
   * Offers rows without one proof or the other.
   * @throws Error when the ledger takes one of them: then nothing that is measured here means anything
   */
  async checkProofsCount(): Promise<{ readonly offered: number; readonly refused: number }> {
    const unsignedByNode = this.#settlement(0, true);
    const { rejections } = await this.#net.ledger.submit(unsignedByNode);
    const unsigned = { ...this.#settlement(1, true), signatures: [] } as Transaction;
    const refusedWhole = await this.#net.ledger.submit(unsigned).then(
      () => false,
      () => true,
    );
    const offered = 2 * this.rowsPerTransaction;
    const refused = rejections.filter(({ code }) => code === 'bad-signature').length + (refusedWhole ? this.rowsPerTransaction : 0);
    if (refused !== offered) throw new Error(`${offered - refused} rows without a proof were taken.`);
    return { offered, refused };
  }

  /** @throws Error unless the ledger has closed exactly so many jobs and its money adds up */
  async checkBooks(jobs: number): Promise<void> {
    let closed = 0;
    for (const allowance of this.#allowances) {
      const record = (await this.#net.ledger.get(stateKeys.allowance(allowance))) as unknown as AllowanceRecord;
      closed += record.closedBelow + record.closed.reduce((sum, [first, last]) => sum + last - first + 1, 0);
    }
    if (closed !== jobs) throw new Error(`${jobs} jobs were settled, and the ledger has closed ${closed}.`);
  }

  #settlement(line: number, forged = false): Transaction {
    const { rowsPerBatch, batchesPerTransaction } = this.#shape;
    const key = this.#superNodes[line]!;
    const batches = Array.from({ length: batchesPerTransaction }, () => {
      const jobs = Array.from({ length: rowsPerBatch }, () => this.#job(line, forged));
      const node = this.#nodes[this.#turn++ % this.#nodes.length]!;
      const batch = this.#net.batch(key, node, jobs, ++this.#batches);
      return forged ? { ...batch, signature: 'ab'.repeat(64) } : batch;
    });
    return this.#net.sign('job.settle', { superNode: superNodeId(key.publicKey), batches, lost: [] }, key);
  }

  #job(line: number, forged: boolean): JobRow {
    const { id, version } = this.#fn;
    // What is refused leaves its sequence to another.
    const sequence = forged ? 1_000_000_000 : this.#sequences[line]!++;
    return testJob({
      allowance: this.#allowances[line]!,
      sequence,
      function: id,
      version,
      notAfter: this.#net.clock.now + 1_000,
    });
  }
}
