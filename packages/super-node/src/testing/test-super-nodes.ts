import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Ledger } from '@orb/ledger';
import { createMemoryLedger } from '@orb/ledger/memory';
import { orderer, TestClock, testGenesis, testManifest, TestNetwork, testSigner, treasury } from '@orb/ledger/testing';
import { accountId, sha256, utf8, versionId, type Genesis, type Manifest, type Signer } from '@orb/protocol';
import { MemoryStore } from '@orb/store/memory';
import { assembleSuperNode, type RunningSuperNode } from '../assemble.ts';
import { parseSuperNodeConfig, type SuperNodeConfigInput } from '../config.ts';
import { NamedTransport, SharedNames } from './named-transport.ts';
import { ScriptedNode, type Script } from './scripted-node.ts';

/** One of several super nodes of a test. */
export interface TestPeer {
  readonly name: string;
  readonly signer: Signer;
  readonly running: RunningSuperNode;
  readonly store: MemoryStore;
  readonly transport: NamedTransport;
  readonly folder: string;
  readonly warnings: string[];
}

/** Several real super nodes over one ledger, linked in memory; bob deploys, alice lends scripted nodes. */
export class TestSuperNodes {
  readonly net: TestNetwork;
  readonly genesis: Genesis;
  readonly bob: Signer;
  readonly alice: Signer;
  readonly owner: Signer;
  readonly names: SharedNames;
  readonly peers = new Map<string, TestPeer>();
  readonly nodes: ScriptedNode[] = [];

  private constructor(net: TestNetwork, genesis: Genesis, [bob, alice, owner]: readonly [Signer, Signer, Signer], names: SharedNames) {
    this.net = net;
    this.genesis = genesis;
    this.bob = bob;
    this.alice = alice;
    this.owner = owner;
    this.names = names;
  }

  /** @param real links over sockets of this computer, for programs that dial by themselves */
  static async start(
    names: readonly string[],
    config: Partial<SuperNodeConfigInput> = {},
    { real = false }: { readonly real?: boolean } = {},
  ): Promise<TestSuperNodes> {
    const clock = new TestClock();
    clock.now = Date.now();
    const genesis = { ...testGenesis({ disputeWindowMs: 0 }), time: clock.now };
    const net = new TestNetwork(await createMemoryLedger({ genesis, ordererKey: orderer }), clock);
    const bob = await net.createAccount('bob', 1_000_000_000n);
    const accounts = [bob, await net.createAccount('alice'), await net.createAccount('owner', 1_000n)] as const;
    const t = new TestSuperNodes(net, genesis, accounts, new SharedNames(real));
    for (const name of names) await t.add(name, config);
    return t;
  }

  /** Starts a super node and puts it on the ledger. */
  async add(name: string, config: Partial<SuperNodeConfigInput> = {}): Promise<TestPeer> {
    const folder = mkdtempSync(join(tmpdir(), 'orb-super-nodes-'));
    const signer = testSigner(name);
    const store = new MemoryStore();
    const warnings: string[] = [];
    const transport = new NamedTransport(name, this.names);
    const running = await assembleSuperNode(
      parseSuperNodeConfig({ folder, gateway: { listen: '127.0.0.1:0' }, settleEveryMs: 20, ...config }),
      {
        ledger: keptOpen(this.net.ledger),
        store,
        boxes: new MemoryStore(),
        transport,
        keys: { genesis: this.genesis, superNode: signer, orderer, treasury },
        log: { info() {}, warn: (message, fields) => warnings.push(`${message} ${JSON.stringify(fields)}`), error() {} },
      },
    );
    await this.register(signer, running);
    const peer = { name, signer, running, store, transport, folder, warnings };
    this.peers.set(name, peer);
    return peer;
  }

  async register(signer: Signer, { linkAddress, gatewayUrl }: Pick<RunningSuperNode, 'linkAddress' | 'gatewayUrl'>): Promise<void> {
    const body = {
      account: accountId(this.owner.publicKey),
      sequence: await this.net.next(this.owner),
      key: signer.publicKey,
      address: linkAddress,
      gateway: gatewayUrl,
      bond: '100',
    };
    await this.net.send('super-node.register', body, this.owner, signer);
  }

  /** Resolves when one super node has heard from another that it has so many versions. */
  async heard(at: string, from: string, versions = 1): Promise<void> {
    const id = this.peer(from).running.id;
    for (;;) {
      const status = (await (await fetch(`${this.url(at)}/v1/status`)).json()) as {
        superNodes: { id: string; presence: { versions: number } | null }[];
      };
      if ((status.superNodes.find((one) => one.id === id)?.presence?.versions ?? -1) >= versions) return;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  peer(name: string): TestPeer {
    return this.peers.get(name)!;
  }

  url(name: string): string {
    return this.peer(name).running.gatewayUrl;
  }

  /** Registers a node and links it to one super node. */
  async addNode(name: string, to: string, script: Script = {}): Promise<ScriptedNode> {
    const { running, signer } = this.peer(to);
    const key = await this.net.registerNode(this.alice, name);
    const transport = new NamedTransport(`${name}-node`, this.names);
    const node = new ScriptedNode(key, script, { transport, chain: running.chain, superNode: signer.publicKey });
    this.nodes.push(node);
    await node.link(running.linkAddress);
    return node;
  }

  /** Deploys a function of bob on every scripted node, with allowances at the super nodes named. @returns its version */
  async deploy(name: string, manifest: Partial<Manifest> = {}, allowancesAt: readonly string[] = [...this.peers.keys()]): Promise<string> {
    const code = utf8(`// ${name}`);
    const complete = testManifest({ replicas: 64, timeoutMs: 1_000, code: { sha256: sha256(code), bytes: code.byteLength }, ...manifest });
    await this.net.createFunction(this.bob, name, complete);
    for (const at of allowancesAt) await this.openAllowance(at);
    for (const node of this.nodes) await node.offerSeeds([...node.seeds, versionId(complete)]);
    return versionId(complete);
  }

  openAllowance(at: string, changes: object = {}): Promise<string> {
    return this.net.openAllowance(this.bob, this.peer(at).signer, {
      maxUnits: '10000000',
      maxPerCall: '100000000',
      expires: Date.now() + 3_600_000,
      ...changes,
    });
  }

  async stopPeer(name: string): Promise<void> {
    const { running, folder } = this.peer(name);
    this.peers.delete(name);
    await running.stop();
    rmSync(folder, { recursive: true });
  }

  async stop(): Promise<void> {
    for (const node of this.nodes) await node.unlink();
    for (const name of Array.from(this.peers.keys())) await this.stopPeer(name);
    await this.net.ledger.close();
  }
}

/** A ledger that outlives each super node that closes it. */
function keptOpen(ledger: Ledger): Ledger {
  return new Proxy(ledger, {
    get: (target, property) => {
      if (property === 'close') return () => Promise.resolve();
      const value: unknown = Reflect.get(target, property, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}
