import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import type { Parameters } from '@orb/protocol';
import { Orb, type JobInfo } from '@orb/sdk';
import { call, type CallAnswer, type CallRequest } from './call.ts';
import { findLeaks } from './leaks.ts';
import { OrbProcess, orbMain } from './orb-process.ts';
import { TimeTable } from './time-table.ts';
import { until } from './until.ts';

export interface NetworkOptions {
  /** Labels of the nodes to start. @default two: ant and bee */
  readonly nodes?: readonly string[];
  /** What the super node's configuration says beside addresses. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** Parameters of the network that differ from a test's usual ones. */
  readonly parameters?: Partial<Parameters>;
  /** The command to begin with. @default the one of this tree */
  readonly main?: string;
}

export interface OrbRun {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly bytes: Buffer;
}

export interface OrbRunOptions {
  readonly input?: Uint8Array | string;
  readonly env?: Readonly<Record<string, string>>;
  /** Another person's ORB_HOME. */
  readonly home?: string;
}

const compileCache = fileURLToPath(new URL('../../node_modules/.cache/orb-e2e', import.meta.url));

/** A node of a test works on every computer, however weak, busy or far from a socket. */
const anyComputer = ['min-isolation=process', 'on-battery=lend', 'priority=normal'];

/** Money vests at once, so that a test sees it arrive. */
const disputeWindowMs = 300;

/**
 * A whole network of real processes, each started by the command as its owner would: `orb supernode start` with an
 * operator's account, `orb node start` by a lender, functions of the developer alice. In a folder of its own, on ports
 * that the system picks; nothing of it outlives {@link stop}.
 */
export class Network {
  readonly folder: string;
  /** ORB_HOME of operator, lender and alice. */
  readonly home: string;
  /** Where callers reach the super node. */
  gateway = '';
  /** Where nodes dial it. */
  links: { readonly address: string; readonly key: string; readonly chain: string } = { address: '', key: '', chain: '' };
  superNode!: OrbProcess;
  /** The command that processes are started with from now on. */
  main: string;
  /** Words for Node before the command, of processes that are started from now on. */
  before: readonly string[] = [];
  readonly nodes = new Map<string, OrbProcess>();
  /** The processes of this run, ended ones too: their words must hold no secret. */
  readonly processes: OrbProcess[] = [];
  readonly times = new TimeTable();

  private constructor(folder: string, main: string) {
    this.folder = folder;
    this.main = main;
    this.home = join(folder, 'home');
  }

  /** From nothing to a network that takes functions: init, start, accounts, money, bond, nodes. */
  static async start(options: NetworkOptions = {}): Promise<Network> {
    const { nodes = ['ant', 'bee'], config = {}, parameters = {}, main = orbMain } = options;
    const network = new Network(await mkdtemp(join(tmpdir(), 'orb-e2e-')), main);
    try {
      await network.times.measure('network up', async () => {
        await network.#makeSuperNode(config, parameters);
        await network.#makeAccounts();
        await network.ok(
          'supernode',
          'register',
          '--account',
          'operator',
          '--config',
          network.configFile,
          '--address',
          network.links.address,
        );
        await Promise.all(nodes.map((label) => network.startNode(label)));
      });
      return network;
    } catch (error) {
      await network.stop().catch(() => undefined);
      throw error;
    }
  }

  get superNodeFolder(): string {
    return join(this.folder, 'super-node');
  }

  get configFile(): string {
    return join(this.superNodeFolder, 'super-node.json');
  }

  /** Words that make a node of a test work on whatever computer it is on. */
  get nodeSettings(): readonly string[] {
    // The version before had no settings, and lent every computer.
    return this.main === orbMain ? anyComputer.flatMap((setting) => ['--set', setting]) : [];
  }

  nodeFolder(label: string): string {
    return join(this.folder, label);
  }

  /** The network for programs, without an account. */
  get orbClient(): Orb {
    return new Orb({ url: this.gateway });
  }

  /** Starts a process that stays, and ends with this test however that ends. */
  spawn(name: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): OrbProcess {
    const argv = [...this.before, this.main, ...args, '--stop-with-parent'];
    const child = new OrbProcess({ name, argv, env: { ...this.#env(), ...env } });
    this.processes.push(child);
    return child;
  }

  /** Starts a command that is looked at while it runs, as in a developer's terminal. */
  watch(name: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): OrbProcess {
    const child = new OrbProcess({ name, argv: [this.main, ...args], cwd: this.folder, env: { ...this.#env(), ...env } });
    this.processes.push(child);
    return child;
  }

  /** Runs one `orb` command to its end. */
  async orb(args: readonly string[], { input = '', env = {}, home }: OrbRunOptions = {}): Promise<OrbRun> {
    const name = `orb ${args.slice(0, args[0]!.length > 5 && !['deploy', 'decommission', 'revert'].includes(args[0]!) ? 2 : 1).join(' ')}`;
    const child = new OrbProcess({ name, argv: [this.main, ...args], cwd: this.folder, env: { ...this.#env(home), ...env } });
    this.processes.push(child);
    child.input(input);
    const { code } = await this.times.measure(name, () => child.ended);
    const { bytes, stdout, stderr } = child;
    return { code, stdout, stderr, bytes };
  }

  /** Runs another program of this workspace to its end, under Node. */
  async run(name: string, argv: readonly string[]): Promise<OrbRun> {
    const child = new OrbProcess({ name, argv, cwd: this.folder, env: this.#env() });
    const { code } = await child.ended;
    return { code, stdout: child.stdout, stderr: child.stderr, bytes: child.bytes };
  }

  /** Runs a command that must succeed. @returns its `--json` result */
  async ok<T = Record<string, unknown>>(...args: readonly string[]): Promise<T> {
    const { code, stdout, stderr } = await this.orb([...args, '--json']);
    if (code !== 0) throw new Error(`orb ${args.join(' ')} ended with ${code}:\n${stderr}${stdout}`);
    return JSON.parse(stdout) as T;
  }

  /** Starts the super node, the first time or again on its data, and waits until it takes calls. */
  async startSuperNode(): Promise<void> {
    this.superNode = this.spawn('super node', ['supernode', 'start', '--config', this.configFile, '--json']);
    const { gateway, address, key, chain } = (await this.times.measure('super node up', () => this.superNode.ready())) as Record<
      string,
      string
    >;
    this.gateway = gateway!;
    this.links = { address: address!, key: key!, chain: chain! };
  }

  /** Starts a node, the first time or again on its data, and waits until the super node has its offer. */
  async startNode(
    label: string,
    flags: readonly string[] = ['--memory', '2048', '--slots', '64'],
    env: Readonly<Record<string, string>> = {},
  ): Promise<OrbProcess> {
    const args = ['node', 'start', '--account', 'lender', '--label', label, '--folder', this.nodeFolder(label)];
    args.push(...this.nodeSettings, ...flags, '--json');
    const node = this.spawn(`node ${label}`, args, env);
    this.nodes.set(label, node);
    await this.times.measure('node up', async () => {
      await node.ready();
      await this.linked(label);
    });
    return node;
  }

  node(label: string): OrbProcess {
    return this.nodes.get(label)!;
  }

  /** Writes a source, deploys it for alice and waits until every node seeds it. */
  async deploy(name: string, source: string, flags: readonly string[] = []): Promise<Deployed> {
    const file = await this.write(`${name}.ts`, source);
    return this.ok<Deployed>('deploy', file, '--replicas', String(this.nodes.size), ...flags);
  }

  async write(name: string, text: string): Promise<string> {
    const file = join(this.folder, name);
    await writeFile(file, text);
    return file;
  }

  /** Calls a function of alice's over HTTP. @param path name, path and query */
  call(path: string, request: CallRequest = {}): Promise<CallAnswer> {
    return call(`${this.gateway}/fn/${path.includes('/fn/') ? path.split('/fn/')[1] : `alice/${path}`}`, request);
  }

  /** A GET of the gateway's own API. */
  async get<T>(path: string): Promise<T> {
    const response = await fetch(`${this.gateway}${path}`);
    if (!response.ok) throw new Error(`GET ${path}: ${response.status} ${await response.text()}`);
    return (await response.json()) as T;
  }

  /** The nodes as the super node sees them now. */
  async linkedNodes(): Promise<readonly LinkedNode[]> {
    return (await this.get<{ nodes: readonly LinkedNode[] }>('/v1/nodes')).nodes;
  }

  /** Resolves with a node once it is linked. */
  linked(label: string): Promise<LinkedNode> {
    return until(`${label} to be linked`, async () => (await this.linkedNodes()).find((node) => node.label === label));
  }

  /** Resolves once a node is linked no more. */
  async unlinked(label: string): Promise<void> {
    await until(`${label} to be gone`, async () => (await this.linkedNodes()).every((node) => node.label !== label));
  }

  /** Resolves with a node once a job is under way on it. */
  busy(): Promise<LinkedNode> {
    return until('a node to be busy', async () => (await this.linkedNodes()).find(({ active }) => active > 0));
  }

  /** Resolves with a job once it is on the ledger in this state. */
  job(id: string, state: JobInfo['job']['state'] = 'paid'): Promise<JobInfo> {
    return until(`job ${id} to be ${state}`, async () => {
      const info = await this.orbClient.job(id).catch(() => undefined);
      return info?.job.state === state ? info : undefined;
    });
  }

  /** Ends everything, removes everything. @throws when a process ended badly, or a secret stood in anybody's words */
  async stop(): Promise<void> {
    const running = this.processes.filter((child) => child.running);
    const endAll = (children: readonly OrbProcess[]) =>
      Promise.all(children.map(async (child) => ({ name: child.name, ...(await child.end('SIGINT')) })));
    // Nodes first, as their owners would: what they have run is settled while the super node is still there.
    const endings = await this.times.measure('network down', async () => [
      ...(await endAll(running.filter((child) => child !== this.superNode))),
      ...(await endAll(running.filter((child) => child === this.superNode))),
    ]);
    const leaks = await findLeaks(this.folder, this.processes);
    await rm(this.folder, { recursive: true, force: true, maxRetries: 3 });
    this.times.print();
    expect(leaks).toEqual([]);
    expect(endings.filter(({ code }) => code !== 0)).toEqual([]);
  }

  async #makeSuperNode(config: Readonly<Record<string, unknown>>, parameters: Partial<Parameters>): Promise<void> {
    await mkdir(this.home, { recursive: true });
    await this.ok('supernode', 'init', this.superNodeFolder, '--name', 'e2e');
    await changeJson(join(this.superNodeFolder, 'genesis.json'), (genesis) => ({
      ...genesis,
      parameters: { ...(genesis['parameters'] as object), disputeWindowMs, ...parameters },
    }));
    // Calls of a test come from one address and may come at once.
    const limits = { callsPerSecond: 100_000, faucetPerMinute: 1_000 };
    await this.configure({ ...limits, ...config, gateway: { listen: '127.0.0.1:0' }, links: { listen: '127.0.0.1:0' } });
    await this.startSuperNode();
    // From now on the same ports, as on a real host. Linux gives even ports to those who connect and odd ones to those
    // who listen, so that nobody takes them while the super node is away.
    await this.configure({ gateway: { listen: new URL(this.gateway).host }, links: { listen: new URL(this.links.address).host } });
  }

  /** Changes the super node's configuration; holds from its next start. */
  async configure(change: Readonly<Record<string, unknown>>): Promise<void> {
    await changeJson(this.configFile, (config) => ({ ...config, ...change }));
  }

  async #makeAccounts(): Promise<void> {
    await Promise.all([
      this.ok('account', 'create', 'alice', '--role', 'developer').then(() => this.ok('fund', 'alice')),
      this.ok('account', 'create', 'operator', '--role', 'peer').then(() => this.ok('fund', 'operator')),
      this.ok('account', 'create', 'lender', '--role', 'provider'),
    ]);
  }

  #env(home = this.home): Record<string, string> {
    const { PATH = '' } = process.env;
    // Node's cache of compiled code: a command starts three times as fast.
    const NODE_COMPILE_CACHE = compileCache;
    return {
      PATH,
      NODE_COMPILE_CACHE,
      HOME: home,
      ORB_HOME: home,
      ORB_ACCOUNT: 'alice',
      NO_COLOR: '1',
      ...(this.gateway !== '' && { ORB_GATEWAY: this.gateway }),
    };
  }
}

/** What `orb deploy --json` says, as far as tests read it. */
export interface Deployed {
  readonly id: string;
  readonly url: string;
  readonly version: string;
  readonly change: string;
  readonly code: { readonly sha256: string };
  readonly files: Readonly<Record<string, string>>;
  readonly replicas: { readonly ready: number; readonly wanted: number };
}

/** A node as `/v1/nodes` lists it. */
export interface LinkedNode {
  readonly id: string;
  readonly label: string;
  readonly active: number;
  readonly accepting: boolean;
}

async function changeJson(file: string, change: (value: Record<string, unknown>) => object): Promise<void> {
  await writeFile(file, JSON.stringify(change(JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>), null, 2));
}
