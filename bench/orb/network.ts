import { access, constants, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { startChild, type Child } from '../child.ts';
import { descendants, type ProcessUnderTest } from '../measure/processes.ts';
import { bundle, Developer, newKey, type FunctionTerms } from './developer.ts';
import type { LightNodesArgument } from './light-nodes.ts';
import { startOrb, type OrbEnvironment, type OrbProcess } from './orb-command.ts';
import { joinSuperNode, startFirstSuperNode, type SuperNode } from './super-node.ts';

export interface NetworkOptions {
  readonly nodeFlags: readonly string[];
  /** @default 1 */
  readonly superNodes?: number;
  /** For each node the super node that it works for, by number. @default [0] */
  readonly nodes?: readonly number[];
  /** Nodes that share one process and have no sandbox but that process; they work for the first super node. @default 0 */
  readonly lightNodes?: number;
  /** How many jobs a node takes at once. @default 256, more than any row has under way */
  readonly slots?: number;
  /** False: settlements go nowhere. @default true */
  readonly ledger?: boolean;
  /** More of a super node's configuration. */
  readonly config?: Readonly<Record<string, unknown>>;
}

const manySlots = 256;
const developerName = 'bench-dev';

/** A whole network on this machine, in a folder that is removed at the end. Each process is one of the CLI's own. */
export class BenchNetwork {
  readonly #folder: string;
  readonly #environment: OrbEnvironment;
  readonly #slots: number;
  readonly #superNodes: SuperNode[] = [];
  readonly #nodes: OrbProcess[] = [];
  #light: { readonly child: Child; readonly folder: string } | undefined;
  #developer: Developer | undefined;

  private constructor(folder: string, { nodeFlags, slots = manySlots }: NetworkOptions) {
    this.#folder = folder;
    this.#environment = { home: join(folder, 'home'), nodeFlags };
    this.#slots = slots;
  }

  static async start(options: NetworkOptions): Promise<BenchNetwork> {
    const network = new BenchNetwork(await mkdtemp(join(tmpdir(), 'orb-bench-')), options);
    try {
      await network.#start(options);
      return network;
    } catch (error) {
      await network.stop();
      throw error;
    }
  }

  /** Addresses of the super nodes' gateways. */
  get gateways(): readonly string[] {
    return this.#superNodes.map(({ gateway }) => gateway);
  }

  /** The account that owns the functions that are called. */
  get developer(): Developer {
    if (!this.#developer) throw new Error('The network is not up yet.');
    return this.#developer;
  }

  /** The processes as they are now, each with its role; sandbox processes are found below the nodes. */
  processes(): readonly ProcessUnderTest[] {
    return [
      ...this.#superNodes.map(({ process: { pid } }) => ({ role: 'super node', pid })),
      ...this.#nodes.flatMap(({ pid }) => [{ role: 'node', pid }, ...sandboxesOf(pid)]),
      ...(this.#light ? [{ role: 'light nodes', pid: this.#light.child.pid }] : []),
    ];
  }

  /** Bundles a source and deploys it as the bench's own developer. @returns its path below a gateway */
  async deploy(name: string, source: string, terms: Partial<FunctionTerms> = {}, seedAt = 0): Promise<string> {
    const code = await bundle(this.#folder, name, source);
    return this.developer.deploy({ ...defaultTerms, ...terms, name, code }, seedAt);
  }

  /** Asks another super node for seeders of a function that is deployed. */
  async seed(name: string, superNode: number): Promise<void> {
    await this.developer.seed(`${developerName}/${name}`, superNode);
  }

  /** Whether each super node has seeders of its own, or has heard of those of others. @param withNodes those with nodes of their own */
  async allHearOfSeeders(withNodes: ReadonlySet<number>): Promise<boolean> {
    for (const [number] of this.#superNodes.entries()) {
      const { superNodes } = (await this.get('/v1/status', number)) as { superNodes: { presence: { versions: number } | null }[] };
      if (!withNodes.has(number) && !superNodes.some(({ presence }) => (presence?.versions ?? 0) > 0)) return false;
    }
    return true;
  }

  /** Another account that deploys. */
  newDeveloper(name: string): Promise<Developer> {
    return Developer.create(name, this.gateways, ['developer']);
  }

  /** A GET of a gateway's own API. */
  async get(path: string, superNode = 0): Promise<unknown> {
    const response = await fetch(`${this.gateways[superNode]}${path}`);
    if (!response.ok) throw new Error(`GET ${path}: ${response.status} ${await response.text()}`);
    return await response.json();
  }

  /** Waits until every job of every super node is on the ledger. Resolves with how long that took. @throws Error after a minute */
  settled(): Promise<number> {
    return this.until('every job to be on the ledger', async () => {
      const all = await Promise.all(this.#superNodes.map((_, number) => this.get('/v1/status', number)));
      return all.every((status) => (status as { totals: { unsettled: number } }).totals.unsettled === 0);
    });
  }

  /** Resolves with how long it took. @throws Error after a minute */
  async until(what: string, isSo: () => Promise<boolean>): Promise<number> {
    const startedAt = performance.now();
    while (!(await isSo())) {
      if (performance.now() - startedAt > 60_000) throw new Error(`A minute was not enough for ${what}.`);
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    return performance.now() - startedAt;
  }

  /** Stops nodes and super nodes in good order and removes everything. */
  async stop(): Promise<void> {
    for (const node of this.#nodes.splice(0).toReversed()) await node.stop();
    await this.#light?.child.stop();
    for (const { process } of this.#superNodes.splice(0).toReversed()) await process.stop();
    if (this.#light) await rm(this.#light.folder, { recursive: true, force: true });
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #start({ superNodes = 1, nodes, lightNodes = 0, ledger = true, config = {} }: NetworkOptions): Promise<void> {
    const first = await startFirstSuperNode(join(this.#folder, 'super-node-0'), this.#environment, config, ledger);
    this.#superNodes.push(first);
    for (let number = 1; number < superNodes; number++) {
      this.#superNodes.push(await joinSuperNode(join(this.#folder, `super-node-${number}`), this.#environment, config, first));
    }
    if (superNodes > 1) await this.until('the super nodes to know each other', () => this.#acquainted());
    this.#developer = await Developer.create(developerName, this.gateways, ['developer', 'provider']);
    for (const [index, superNode] of (nodes ?? (lightNodes > 0 ? [] : [0])).entries()) await this.#startNode(index, superNode);
    if (lightNodes > 0) await this.#startLightNodes(lightNodes, first);
  }

  async #acquainted(): Promise<boolean> {
    const all = await Promise.all(this.#superNodes.map((_, number) => this.get('/v1/status', number)));
    const heardOf = (status: unknown) => (status as { superNodes: { presence: unknown }[] }).superNodes.filter(({ presence }) => presence);
    return all.every((status) => heardOf(status).length >= this.#superNodes.length - 1);
  }

  async #startNode(index: number, superNode: number): Promise<void> {
    const label = `bench-${index + 1}`;
    const args = [
      'node',
      'start',
      '--label',
      label,
      '--folder',
      join(this.#folder, label),
      '--slots',
      String(this.#slots),
      '--super-nodes',
      '1',
    ];
    // Load generator and functions share this computer: none of them is to stand back.
    args.push('--set', 'priority=normal', '--set', 'min-isolation=process', '--set', 'on-battery=lend');
    this.#nodes.push(await startOrb(args, { ...this.#environment, gateway: this.gateways[superNode]! }));
    await this.until(`${label} to be linked`, async () => (await this.#linked(superNode)).includes(label));
  }

  async #startLightNodes(count: number, first: SuperNode): Promise<void> {
    const folder = await mkdtemp(join(await memoryFolder(), 'orb-bench-light-'));
    const keys = Array.from({ length: count }, newKey);
    for (const [index, { signer }] of keys.entries()) await this.developer.registerNode(signer, `light-${index}`);
    const argument: LightNodesArgument = {
      chain: first.chain,
      superNodes: [{ address: first.links, key: first.key }],
      gateways: [first.gateway],
      folder,
      seeds: keys.map(({ seed }) => seed),
      slots: this.#slots,
    };
    const module = new URL('./light-nodes.ts', import.meta.url);
    const argv = [JSON.stringify(argument)];
    const { child } = await startChild(module, { argv, nodeFlags: this.#environment.nodeFlags }).catch(async (error: unknown) => {
      await rm(folder, { recursive: true, force: true });
      throw error;
    });
    this.#light = { child, folder };
    await this.until(`${count} light nodes to be linked`, async () => (await this.#linked(0)).length >= count);
  }

  async #linked(superNode: number): Promise<readonly string[]> {
    const { nodes } = (await this.get('/v1/nodes', superNode)) as { nodes: readonly { label: string }[] };
    return nodes.map(({ label }) => label);
  }
}

/** Small and short, so that many calls under way hold little money: what one holds is time limit × memory × price cap. */
const defaultTerms = { memoryMiB: 128, concurrency: manySlots, replicas: 1, budgetUnits: 100_000_000_000n };

/** A folder in memory where there is one: nodes that share a process are to share no disk. */
function memoryFolder(): Promise<string> {
  return access('/dev/shm', constants.W_OK).then(
    () => '/dev/shm',
    () => tmpdir(),
  );
}

function sandboxesOf(pid: number): readonly ProcessUnderTest[] {
  return descendants(pid).map(({ pid: child, command }) => ({
    role: basename(command[0] ?? '').startsWith('deno') ? 'sandbox' : 'sandbox launcher',
    pid: child,
  }));
}
