import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { call, type CallAnswer, type CallRequest } from './call.ts';
import type { LinkedNode, Network } from './network.ts';
import type { OrbProcess } from './orb-process.ts';
import { until } from './until.ts';

/** One more super node of a network: a process of its own that follows the ledger of the first. */
export class SecondSuperNode {
  readonly #network: Network;
  readonly folder: string;
  process!: OrbProcess;
  gateway = '';
  links = '';
  id = '';

  private constructor(network: Network) {
    this.#network = network;
    this.folder = join(network.folder, 'second');
  }

  /** Made, started and registered by the commands that its operator would use. */
  static async join(network: Network, config: Readonly<Record<string, unknown>> = {}): Promise<SecondSuperNode> {
    const second = new SecondSuperNode(network);
    await network.ok('supernode', 'init', second.folder, '--join', network.gateway, '--chain', network.links.chain);
    await second.#configure({ ...config, gateway: { listen: '127.0.0.1:0' }, links: { listen: '127.0.0.1:0' } });
    await second.start();
    await second.#configure({ gateway: { listen: new URL(second.gateway).host }, links: { listen: new URL(second.links).host } });
    const register = ['supernode', 'register', '--account', 'operator', '--gateway', second.gateway, '--config', second.configFile];
    await network.ok(...register, '--address', second.links);
    await second.linkedTo(network.gateway);
    return second;
  }

  get configFile(): string {
    return join(this.folder, 'super-node.json');
  }

  /** Starts it, the first time or again on its data, and waits until it takes calls. */
  async start(): Promise<void> {
    this.process = this.#network.spawn('second super node', ['supernode', 'start', '--config', this.configFile, '--json']);
    const { gateway, address, id } = (await this.process.ready()) as Record<string, string>;
    this.gateway = gateway!;
    this.links = address!;
    this.id = id!;
  }

  /** Resolves when it and another super node have heard of each other. */
  async linkedTo(gateway: string): Promise<void> {
    for (const url of [this.gateway, gateway])
      await until(`${url} to hear of the other super node`, async () => (await othersOf(url)).length > 0);
  }

  /** Starts a node that works for this super node alone. */
  async startNode(label: string, flags: readonly string[] = ['--memory', '2048', '--slots', '64']): Promise<OrbProcess> {
    const folder = this.#network.nodeFolder(label);
    const which = ['--gateway', this.gateway, '--super-nodes', '1', '--account', 'lender', '--label', label, '--folder', folder];
    const node = this.#network.spawn(`node ${label}`, ['node', 'start', ...which, ...this.#network.nodeSettings, ...flags, '--json']);
    await node.ready();
    await this.linked(label);
    return node;
  }

  linked(label: string): Promise<LinkedNode> {
    return until(`${label} to be linked`, async () =>
      (await this.get<{ nodes: readonly LinkedNode[] }>('/v1/nodes')).nodes.find((node) => node.label === label),
    );
  }

  /** Calls a function of alice's here. @param path name, path and query */
  call(path: string, request: CallRequest = {}): Promise<CallAnswer> {
    return call(`${this.gateway}/fn/alice/${path}`, request);
  }

  async get<T>(path: string): Promise<T> {
    const response = await fetch(`${this.gateway}${path}`);
    if (!response.ok) throw new Error(`GET ${path}: ${response.status} ${await response.text()}`);
    return (await response.json()) as T;
  }

  async #configure(change: Readonly<Record<string, unknown>>): Promise<void> {
    const config = JSON.parse(await readFile(this.configFile, 'utf8')) as object;
    await writeFile(this.configFile, JSON.stringify({ ...config, ...change }, null, 2));
  }
}

/** The other super nodes that one has heard of, with what they say they have. */
export async function othersOf(
  gateway: string,
): Promise<readonly { readonly id: string; readonly presence: { readonly versions: number } }[]> {
  const { superNodes } = (await (await fetch(`${gateway}/v1/status`)).json()) as {
    superNodes: { id: string; presence: { versions: number } | null }[];
  };
  return superNodes.flatMap(({ id, presence }) => (presence ? [{ id, presence }] : []));
}
