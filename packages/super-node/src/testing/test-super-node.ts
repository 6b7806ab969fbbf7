import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createMemoryLedger } from '@orb/ledger/memory';
import { orderer, TestClock, testGenesis, testManifest, TestNetwork, testSigner, treasury } from '@orb/ledger/testing';
import type { Link } from '@orb/link';
import { MemoryTransport } from '@orb/link/memory';
import {
  accountId,
  createSigner,
  functionId,
  randomBytes,
  sha256,
  toHex,
  utf8,
  versionId,
  type Manifest,
  type Signer,
} from '@orb/protocol';
import { MemoryStore } from '@orb/store/memory';
import { assembleSuperNode, type RunningSuperNode } from '../assemble.ts';
import { parseSuperNodeConfig, type SuperNodeConfigInput } from '../config.ts';
import { ScriptedNode, type Script } from './scripted-node.ts';

/** A real super node on memory adapters, with bob the developer, alice the provider and as many scripted nodes as asked for. */
export class TestSuperNode {
  readonly running: RunningSuperNode;
  readonly net: TestNetwork;
  readonly superNode: Signer;
  readonly bob: Signer;
  readonly alice: Signer;
  readonly store: MemoryStore;
  readonly #transport: MemoryTransport;
  readonly #folder: string;
  readonly nodes: ScriptedNode[] = [];

  private constructor(parts: Omit<TestSuperNode, 'nodes' | 'url'> & { transport: MemoryTransport; folder: string }) {
    this.running = parts.running;
    this.net = parts.net;
    this.superNode = parts.superNode;
    this.bob = parts.bob;
    this.alice = parts.alice;
    this.store = parts.store;
    this.#transport = parts.transport;
    this.#folder = parts.folder;
  }

  static async start(config: Partial<SuperNodeConfigInput> = {}): Promise<TestSuperNode> {
    const folder = mkdtempSync(join(tmpdir(), 'orb-super-node-'));
    const clock = new TestClock();
    clock.now = Date.now();
    const genesis = { ...testGenesis({ disputeWindowMs: 0, faucetGrant: '5000', faucetTotal: '8000' }), time: clock.now };
    const ledger = await createMemoryLedger({ genesis, ordererKey: orderer });
    const net = new TestNetwork(ledger, clock);
    const bob = await net.createAccount('bob', 1_000_000_000n);
    const alice = await net.createAccount('alice');
    const superNode = await net.registerSuperNode(await net.createAccount('owner', 1_000n), 'super');
    const transport = new MemoryTransport();
    const store = new MemoryStore();
    const running = await assembleSuperNode(
      parseSuperNodeConfig({ folder, gateway: { listen: '127.0.0.1:0' }, settleEveryMs: 20, ...config }),
      {
        ledger,
        store,
        boxes: new MemoryStore(),
        transport,
        keys: { genesis, superNode, orderer, treasury },
        log: { info() {}, warn() {}, error() {} },
      },
    );
    return new TestSuperNode({ running, net, superNode, bob, alice, store, transport, folder } as never);
  }

  get url(): string {
    return this.running.gatewayUrl;
  }

  /** Registers a node of alice and links it; it does as its script says. */
  async addNode(name: string, script: Script = {}): Promise<ScriptedNode> {
    const key = await this.net.registerNode(this.alice, name);
    const node = new ScriptedNode(key, script, {
      transport: this.#transport,
      chain: this.running.chain,
      superNode: this.superNode.publicKey,
    });
    this.nodes.push(node);
    await node.link(this.running.linkAddress);
    return node;
  }

  /** Links with a key that nobody has registered. */
  stranger(name: string): ScriptedNode {
    return new ScriptedNode(
      testSigner(name),
      {},
      { transport: this.#transport, chain: this.running.chain, superNode: this.superNode.publicKey },
    );
  }

  /** A caller's link, with a key that nobody knows unless one is given. */
  callerLink(signer: Signer = createSigner(toHex(randomBytes(32)))): Promise<Link> {
    return this.#transport.dial(this.running.linkAddress, {
      identity: { chain: this.running.chain, role: 'client', signer },
      handler: { call: () => Promise.reject(new Error('a caller answers nothing')), notice: () => undefined },
      peerKey: this.superNode.publicKey,
    });
  }

  /** Deploys a function of bob, seeded by every node that is linked, and returns its call URL. */
  async deploy(name: string, manifest: Partial<Manifest> = {}, options: { allowance?: boolean } = {}): Promise<string> {
    const code = utf8(`// ${name}`);
    const complete = testManifest({ replicas: 64, timeoutMs: 1_000, code: { sha256: sha256(code), bytes: code.byteLength }, ...manifest });
    await this.store.put(sha256(code), code);
    await this.net.createFunction(this.bob, name, complete);
    if (options.allowance !== false) await this.openAllowance();
    for (const node of this.nodes) await node.offerSeeds([...node.seeds, versionId(complete)]);
    const url = `${this.url}/fn/bob/${name}`;
    await fetch(`${this.url}/v1/functions/bob/${name}`);
    return url;
  }

  openAllowance(changes: object = {}): Promise<string> {
    return this.net.openAllowance(this.bob, this.superNode, {
      maxUnits: '10000000',
      maxPerCall: '100000000',
      expires: Date.now() + 3_600_000,
      ...changes,
    });
  }

  functionId(name: string): string {
    return functionId(accountId(this.bob.publicKey), name, 1);
  }

  async stop(): Promise<void> {
    for (const node of this.nodes) await node.unlink();
    await this.running.stop();
    rmSync(this.#folder, { recursive: true });
  }
}
