import type { CommittedBlock } from './port.ts';

interface FollowerDependencies {
  readonly read: (height: number) => Promise<CommittedBlock>;
  readonly head: () => number;
}

interface Follower {
  next: number;
  running: boolean;
  stopped: boolean;
  readonly listener: (committed: CommittedBlock) => void;
}

/**
 * Hands durable blocks to those who follow, each at its own pace: exactly once, in order. What a listener throws is
 * reported as a warning; it stops neither the ledger nor anybody else.
 */
export class Followers {
  readonly #dependencies: FollowerDependencies;
  readonly #followers = new Set<Follower>();

  constructor(dependencies: FollowerDependencies) {
    this.#dependencies = dependencies;
  }

  follow(fromHeight: number, listener: (committed: CommittedBlock) => void): { stop(): void } {
    const follower: Follower = { next: Math.max(0, fromHeight), running: false, stopped: false, listener };
    this.#followers.add(follower);
    this.#start(follower);
    return {
      stop: () => {
        follower.stopped = true;
        this.#followers.delete(follower);
      },
    };
  }

  /** There is a new block. */
  wake(): void {
    for (const follower of this.#followers) this.#start(follower);
  }

  stop(): void {
    for (const follower of this.#followers) follower.stopped = true;
    this.#followers.clear();
  }

  #start(follower: Follower): void {
    if (follower.running) return;
    follower.running = true;
    void this.#run(follower)
      .catch((error: unknown) => process.emitWarning(error instanceof Error ? error : String(error)))
      .finally(() => {
        follower.running = false;
        // A block may have come between the last look and now.
        if (!follower.stopped && follower.next <= this.#dependencies.head()) this.#start(follower);
      });
  }

  async #run(follower: Follower): Promise<void> {
    // Never inside the call that follows: a listener may need what that call returns.
    await Promise.resolve();
    while (!follower.stopped && follower.next <= this.#dependencies.head()) {
      const committed = await this.#dependencies.read(follower.next);
      if (follower.stopped) return;
      follower.next++;
      follower.listener(committed);
    }
  }
}
