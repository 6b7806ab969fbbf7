import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MemoryTransport } from '@orb/link/memory';
import { InstancePool, type Sandbox } from '@orb/sandbox';
import { MemorySandbox } from '@orb/sandbox/memory';
import { MemoryStore } from '@orb/store/memory';
import { assembleNode, type Holdings, type NodeFoundations } from '../src/assemble-node.ts';
import type { Instances } from '../src/job/instances.ts';
import { PooledInstances } from '../src/job/pooled-instances.ts';
import { checkNodeConfig, type NodeConfig } from '../src/node-config.ts';
import type { RunningNode } from '../src/running-node.ts';
import { LittleInternet } from './little-internet.ts';
import { StillSurroundings } from './still-surroundings.ts';
import { InlineInstances, type InlineHandler } from './inline-instances.ts';
import { createUnsealer } from '@orb/protocol/sealed-box';
import { chain, ScriptedSuperNode, testFunction, testSeed, testSigner, type TestFunction } from './scripted-super-node.ts';

const signer = testSigner('node');
const unsealer = createUnsealer(testSeed('node'));

/**
 * A node over memory links, with its super node and a function of the test: real code in the memory sandbox, or a
 * handler of the test for what no honest engine does.
 */
export class TestNode {
  readonly folder = mkdtempSync(join(tmpdir(), 'orb-node-'));
  readonly transport = new MemoryTransport();
  readonly store = new MemoryStore();
  readonly superNode = new ScriptedSuperNode(signer);
  readonly surroundings = new StillSurroundings();
  readonly internet = new LittleInternet();
  readonly log: string[] = [];
  readonly fn: TestFunction = testFunction('hello', 'export default () => "hello"');
  readonly #inline: InlineInstances | undefined;
  boot = 'boot 1';
  nowMs = () => Date.now();
  node: RunningNode | undefined;

  constructor(handler?: InlineHandler) {
    this.#inline = handler && new InlineInstances(handler);
  }

  /** The handler's instances. */
  get instances(): InlineInstances {
    return this.#inline!;
  }

  /** Starts it and waits for its first offer. */
  async start(config: Partial<NodeConfig> = {}, foundations: Partial<NodeFoundations> = {}): Promise<RunningNode> {
    if (this.superNode.offers.length === 0) await this.superNode.listen(this.transport);
    const seen = this.superNode.offers.length;
    const checked = checkNodeConfig({
      dataFolder: this.folder,
      chain,
      signer,
      unsealer,
      superNodes: [{ address: this.superNode.address, key: this.superNode.signer.publicKey }],
      label: 'test',
      ...config,
      // The memory sandbox isolates nothing.
      settings: { minIsolation: 'process', ...config.settings },
    });
    const sandbox = new MemorySandbox();
    this.node = await assembleNode(checked, {
      transport: this.transport,
      openStore: async () => this.store,
      bundles: sandbox,
      openInstances: (engines, holdings, memoryMiB): Instances => this.#inline ?? pooled(engines, holdings, memoryMiB),
      surroundings: this.surroundings,
      internet: this.internet,
      machine: { platform: 'linux', architecture: 'x64', cores: 2, memoryMiB: 4_096, boot: this.boot },
      log: (_, message) => this.log.push(message),
      batching: { batchMs: 10 },
      nowMs: () => this.nowMs(),
      ...foundations,
    });
    await this.superNode.until(() => this.superNode.offers.length > seen);
    return this.node;
  }

  /** Starts it and lets it seed the function. */
  async startSeeded(config: Partial<NodeConfig> = {}, foundations: Partial<NodeFoundations> = {}): Promise<RunningNode> {
    const node = await this.start(config, foundations);
    const answer = await this.superNode.seed(this.fn);
    if (!answer.seeding) throw new Error(answer.reason);
    return node;
  }

  async close(): Promise<void> {
    await this.node?.stop();
    await this.superNode.close();
    await this.internet.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

function pooled(sandbox: Sandbox, holdings: Holdings, memoryMiB: number): Instances {
  return new PooledInstances({ pool: new InstancePool({ memoryMiB }, { sandbox }), ...holdings });
}
