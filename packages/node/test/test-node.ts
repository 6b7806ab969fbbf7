import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MemoryTransport } from '@orb/link/memory';
import type { Sandbox } from '@orb/sandbox';
import { MemoryStore } from '@orb/store/memory';
import { assembleNode, type NodeFoundations } from '../src/assemble-node.ts';
import { checkNodeConfig, type NodeConfig } from '../src/node-config.ts';
import type { RunningNode } from '../src/running-node.ts';
import { InlineInstances, type InlineHandler } from './inline-instances.ts';
import { chain, ScriptedSuperNode, testFunction, testSigner, type TestFunction } from './scripted-super-node.ts';

const signer = testSigner('node');

/** A node over memory links, with its super node and a function of the test. */
export class TestNode {
  readonly folder = mkdtempSync(join(tmpdir(), 'orb-node-'));
  readonly transport = new MemoryTransport();
  readonly store = new MemoryStore();
  readonly superNode = new ScriptedSuperNode(signer);
  readonly log: string[] = [];
  readonly instances: InlineInstances;
  readonly fn: TestFunction = testFunction('hello', 'export default () => "hello"');
  boot = 'boot 1';
  nowMs = () => Date.now();
  node: RunningNode | undefined;

  constructor(handler: InlineHandler = async ({ body }) => ({ body: body as Uint8Array })) {
    this.instances = new InlineInstances(handler);
  }

  /** Starts it and waits for its first offer. */
  async start(config: Partial<NodeConfig> = {}, foundations: Partial<NodeFoundations> = {}): Promise<RunningNode> {
    if (this.superNode.offers.length === 0) await this.superNode.listen(this.transport);
    const seen = this.superNode.offers.length;
    const checked = checkNodeConfig({
      dataFolder: this.folder, chain, signer, superNodes: [{ address: this.superNode.address, key: this.superNode.signer.publicKey }], label: 'test', ...config,
    });
    this.node = await assembleNode(checked, {
      transport: this.transport,
      openStore: async () => this.store,
      sandbox: inlineSandbox,
      openInstances: () => this.instances,
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
    rmSync(this.folder, { recursive: true, force: true });
  }
}

const inlineSandbox: Sandbox = {
  probe: async () => ({ tier: 'process', runtimes: ['deno-2'], layers: [] }),
  start: () => Promise.reject(new Error('the test brings its own instances')),
  close: async () => undefined,
};
