import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { descendants, type ProcessUnderTest } from '../measure/processes.ts';
import { runOrb, startOrb, type OrbEnvironment, type OrbProcess } from './orb-command.ts';

export interface NetworkOptions {
  readonly nodeFlags: readonly string[];
  readonly nodes: number;
}

/** A whole network on this machine, as a person would set it up with the CLI, in a folder that is removed at the end. */
export class BenchNetwork {
  readonly #folder: string;
  readonly #environment: OrbEnvironment;
  #gateway = '';
  #superNode: OrbProcess | undefined;
  readonly #nodes: OrbProcess[] = [];

  private constructor(folder: string, { nodeFlags }: NetworkOptions) {
    this.#folder = folder;
    this.#environment = { home: join(folder, 'home'), nodeFlags };
  }

  /** Init, start, account, money, registration, nodes. */
  static async start(options: NetworkOptions): Promise<BenchNetwork> {
    const network = new BenchNetwork(await mkdtemp(join(tmpdir(), 'orb-bench-')), options);
    try {
      await network.#startSuperNode();
      for (let index = 0; index < options.nodes; index++) await network.#startNode(index);
      return network;
    } catch (error) {
      await network.stop();
      throw error;
    }
  }

  get gateway(): string {
    return this.#gateway;
  }

  /** The processes as they are now, each with its role; sandbox processes are found below the nodes. */
  processes(): readonly ProcessUnderTest[] {
    const superNode = this.#superNode ? [{ role: 'super node', pid: this.#superNode.pid }] : [];
    return [...superNode, ...this.#nodes.flatMap(({ pid }) => [{ role: 'node', pid }, ...sandboxesOf(pid)])];
  }

  /** Writes a source, deploys it, and resolves with its address. @param flags more of `orb deploy` */
  async deploy(name: string, source: string, flags: readonly string[] = []): Promise<string> {
    const file = join(this.#folder, `${name}.ts`);
    await writeFile(file, source);
    const { url } = await this.#orb('deploy', file, '--name', name, '--replicas', '1', ...flags);
    return String(url);
  }

  /** A GET of the gateway's own API. */
  async get(path: string): Promise<unknown> {
    const response = await fetch(`${this.#gateway}${path}`);
    if (!response.ok) throw new Error(`GET ${path}: ${response.status} ${await response.text()}`);
    return await response.json();
  }

  /** Waits until every job is on the ledger. Resolves with how long that took. @throws Error after a minute */
  async settled(): Promise<number> {
    return this.#until('every job to be on the ledger', async () => {
      const { totals } = (await this.get('/v1/status')) as { totals: { unsettled: number } };
      return totals.unsettled === 0;
    });
  }

  /** Stops nodes and super node in good order and removes everything. */
  async stop(): Promise<void> {
    for (const node of this.#nodes.splice(0).toReversed()) await node.stop();
    await this.#superNode?.stop();
    this.#superNode = undefined;
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #startSuperNode(): Promise<void> {
    const folder = join(this.#folder, 'super-node');
    const { config } = (await this.#orb('supernode', 'init', folder, '--name', 'bench')) as { config: string };
    await changeJson(config, {
      gateway: { listen: '127.0.0.1:0' },
      links: { listen: '127.0.0.1:0' },
      // The limiter stays on the path; a bench comes from one address and is meant to reach the limits of the rest.
      callsPerSecond: 1_000_000,
      faucetPerMinute: 100,
    });
    this.#superNode = await startOrb(['supernode', 'start', '--config', config], this.#environment);
    this.#gateway = String(this.#superNode.ready['gateway']);
    await this.#orb('account', 'create', 'bench', '--role', 'developer', '--role', 'provider');
    await this.#orb('fund');
    await this.#orb('supernode', 'register', '--config', config, '--address', String(this.#superNode.ready['address']));
  }

  async #startNode(index: number): Promise<void> {
    const label = `bench-${index + 1}`;
    const args = ['node', 'start', '--label', label, '--folder', join(this.#folder, label), '--slots', '256', '--set', 'priority=normal'];
    this.#nodes.push(await startOrb(args, { ...this.#environment, gateway: this.#gateway }));
    await this.#until(`${label} to be linked`, async () => {
      const { nodes } = (await this.get('/v1/nodes')) as { nodes: readonly { label: string }[] };
      return nodes.some((node) => node.label === label);
    });
  }

  async #until(what: string, isSo: () => Promise<boolean>): Promise<number> {
    const startedAt = performance.now();
    while (!(await isSo())) {
      if (performance.now() - startedAt > 60_000) throw new Error(`A minute was not enough for ${what}.`);
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    return performance.now() - startedAt;
  }

  #orb(...args: readonly string[]): Promise<Readonly<Record<string, unknown>>> {
    return runOrb(args, { ...this.#environment, ...(this.#gateway !== '' && { gateway: this.#gateway }) });
  }
}

function sandboxesOf(pid: number): readonly ProcessUnderTest[] {
  return descendants(pid).map(({ pid: child, command }) => ({
    role: basename(command[0] ?? '').startsWith('deno') ? 'sandbox' : 'sandbox launcher',
    pid: child,
  }));
}

async function changeJson(file: string, change: object): Promise<void> {
  const value = JSON.parse(await readFile(file, 'utf8')) as object;
  await writeFile(file, JSON.stringify({ ...value, ...change }));
}
