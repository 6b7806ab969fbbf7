import { setTimeout as delay } from 'node:timers/promises';
import type { NodeId } from '@orb/protocol';
import type { ControlRequest } from './owner-control/control-protocol.ts';
import { nodeStatus, type NodeStatus, type NodeStatusSources } from './node-status.ts';
import { changeSettings, type Followers } from './settings/follow-settings.ts';
import type { SettingsChange } from './settings/settings.ts';

/** A lent computer at work. */
export interface RunningNode {
  readonly id: NodeId;
  status(): NodeStatus;
  /**
   * Takes no new jobs until {@link resume}.
   * @param handBack jobs under way are given back at once, for others to run; else they end, or what the settings say
   */
  pause(handBack?: boolean): void;
  resume(): void;
  /** Takes nothing new and resolves when the last answer has gone and its batch is signed. The node stays linked. */
  drain(): Promise<void>;
  /** Leaves at once: jobs under way are lost to their callers. Drain first. */
  stop(): Promise<void>;
  /** Resolves when the node has stopped, whoever asked for it. */
  readonly ended: Promise<void>;
}

export interface RunningNodeDependencies extends NodeStatusSources {
  readonly followers: Followers;
  /** Resolves when every linked super node has taken the newest offer. */
  readonly offersTaken: () => Promise<void>;
  /** What is left to close after the links, in order. */
  readonly closers: readonly (() => Promise<void>)[];
}

/** How long a node that stops waits for a super node that does not answer. */
const offerPatienceMs = 3_000;

/** A node whose parts are all there. */
export class NodeAtWork implements RunningNode {
  readonly id: NodeId;
  readonly ended: Promise<void>;
  readonly #d: RunningNodeDependencies;
  readonly #end = Promise.withResolvers<void>();
  #stopping: Promise<void> | undefined;

  constructor(dependencies: RunningNodeDependencies) {
    this.#d = dependencies;
    this.id = dependencies.id;
    this.ended = this.#end.promise;
  }

  status(): NodeStatus {
    return nodeStatus(this.#d);
  }

  pause(handBack = false): void {
    this.#d.lending.pause();
    if (handBack) void this.#d.followers.instances.clear('all');
  }

  resume(): void {
    this.#d.lending.resume();
  }

  async drain(): Promise<void> {
    this.#d.lending.stop();
    // A super node that has taken the last offer sends nothing more; what it sent before is here by then.
    await Promise.race([this.#d.offersTaken(), delay(offerPatienceMs, undefined, { ref: false })]);
    await this.#d.desk.idle();
    for (const { book } of this.#d.accounts) {
      book.closeBatch();
      await book.written().catch(() => undefined);
    }
    // The roots leave one turn after they are written, and the link sends at the end of that turn.
    for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate);
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    this.#d.lending.stop();
    await this.#d.conditions.stop();
    await this.#d.links.stop();
    for (const close of this.#d.closers) await close();
    this.#end.resolve();
  }

  /** Does what the owner says over the control channel; everything is answered with the status after it. */
  async obey(request: ControlRequest): Promise<NodeStatus> {
    const { lending, followers } = this.#d;
    if (request.command === 'pause') this.pause(request.handBack);
    else if (request.command === 'resume') lending.resume();
    else if (request.command === 'set') await changeSettings(request.settings as SettingsChange, followers);
    else if (request.command === 'stop') setImmediate(() => void this.drain().then(() => this.stop()));
    return this.status();
  }
}
