import { OrbError } from '@orb/protocol';
import type { Progress } from '../terminal/progress.ts';
import { Child, describeEnd, type ChildEnd, type ChildOptions } from './child.ts';
import type { UpFolder } from './up-folder.ts';

export interface NetworkProcessesOptions {
  readonly folder: UpFolder;
  /** How `orb` itself is started: program and first words. */
  readonly orb: { readonly command: string; readonly args: readonly string[] };
  readonly env: NodeJS.ProcessEnv;
}

/** How long a node may take for the jobs under way, and the super node to settle. */
const nodeGraceMs = 30_000;
const superNodeGraceMs = 20_000;
/** A process that dies more often than this within a minute is not started again. */
const restartsPerMinute = 3;

function isSuperNode(name: string): boolean {
  return name.startsWith('super node');
}

/** The processes of a network on one machine: super nodes, of which the first orders the ledger, and nodes. */
export class NetworkProcesses {
  readonly #options: NetworkProcessesOptions;
  readonly #progress: Progress;
  readonly #children = new Map<string, Child>();
  readonly #restarts = new Map<string, number[]>();
  readonly #broken = Promise.withResolvers<OrbError>();
  #stopping = false;

  constructor(options: NetworkProcessesOptions, dependencies: { readonly progress: Progress }) {
    this.#options = options;
    this.#progress = dependencies.progress;
  }

  /** Resolves when a process has died and starting it again does not help. */
  get broken(): Promise<OrbError> {
    return this.#broken.promise;
  }

  /** Starts a process and waits until it is ready; from then on it is started again when it dies. */
  async start(name: string, args: readonly string[]): Promise<Readonly<Record<string, unknown>>> {
    const { folder, orb, env } = this.#options;
    const options = { name, command: orb.command, args: [...orb.args, ...args], env, logFile: folder.log(name) };
    const child = await this.#spawn(options);
    const ready = await child.ready;
    void this.#watch(child, options);
    return ready;
  }

  /** Nodes first, all at once, so that running jobs are finished and told; then the super nodes, the one that orders the ledger last. */
  async stop(onStep: (text: string) => void): Promise<void> {
    this.#stopping = true;
    const superNodes = [...this.#children.values()].filter(({ name }) => isSuperNode(name));
    const nodes = [...this.#children.values()].filter(({ name }) => !isSuperNode(name));
    if (nodes.length > 0) onStep('Stopping the nodes: jobs under way are finished first');
    await Promise.all(nodes.map((node) => node.stop(nodeGraceMs)));
    if (superNodes.length > 0) onStep(`Stopping the super node${superNodes.length > 1 ? 's' : ''}: what has run is settled first`);
    const [first, ...others] = superNodes;
    await Promise.all(others.map((other) => other.stop(superNodeGraceMs)));
    await first?.stop(superNodeGraceMs);
  }

  kill(): void {
    this.#stopping = true;
    for (const child of this.#children.values()) child.kill();
  }

  async #spawn(options: ChildOptions): Promise<Child> {
    if (this.#stopping) throw new OrbError('cancelled', { message: 'The network is stopping.' });
    const child = new Child(options);
    this.#children.set(options.name, child);
    const children = [...this.#children.values()].flatMap(({ name, pid }) => (pid === undefined ? [] : [{ name, pid }]));
    await this.#options.folder.remember({ children });
    return child;
  }

  async #watch(child: Child, options: ChildOptions): Promise<void> {
    const end = await child.ended;
    if (this.#stopping || child.stopping) return;
    const why = `The ${child.name} ${describeEnd(end)}`;
    if (!this.#mayRestart(child.name)) return this.#giveUp(child, end);
    this.#progress.note(`${why}; starting it again. Its log: ${child.logFile}`);
    try {
      const next = await this.#spawn(options);
      void this.#watch(next, options);
      await next.ready;
      this.#progress.note(`The ${child.name} is back.`);
    } catch {
      // An early end is seen by the new child's own watch; a late one leaves it to come up by itself.
    }
    return undefined;
  }

  #giveUp(child: Child, end: ChildEnd): void {
    const words = child.lastWords.map((line) => `\n  ${line}`).join('');
    this.#broken.resolve(
      new OrbError('internal', {
        message: `The ${child.name} ${describeEnd(end)} again and again.${words}`,
        hint: `Its log: ${child.logFile}`,
      }),
    );
  }

  #mayRestart(name: string): boolean {
    const since = Date.now() - 60_000;
    const recent = (this.#restarts.get(name) ?? []).filter((time) => time > since);
    this.#restarts.set(name, [...recent, Date.now()]);
    return recent.length < restartsPerMinute;
  }
}
