import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { WssTransport } from '@orb/link/wss';
import { fromUtf8, utf8 } from '@orb/protocol';
import { ScriptedSuperNode, testFunction, testSigner } from '../test/scripted-super-node.ts';

/** A root covers 256 rows at most. */
const ticketsPerRoot = 250;
const payload = JSON.stringify({ text: 'x'.repeat(180) });
const fn = testFunction('echo', 'export default (input) => input;', { memoryMiB: 128, timeoutMs: 2_000, concurrency: 256 });

export interface Load {
  readonly inFlight: number;
  readonly busyUs: number;
  readonly ms: number;
}

/** Medians are taken over rounds. */
export interface Figures {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly nodeUs: number;
  readonly sandboxUs: number;
  readonly callerUs: number;
}

/** One node process and the super node that gives it work. */
export class Rig {
  readonly name: string;
  readonly #superNode: ScriptedSuperNode;
  readonly #child: ChildProcess;
  readonly #folder: string;
  readonly #books: NodeJS.Timeout;
  #handedOut = 0;

  static async start(name: string, root: string, execArgv: string[]): Promise<Rig> {
    const folder = mkdtempSync(join(tmpdir(), 'orb-bench-node-'));
    const superNode = new ScriptedSuperNode(testSigner('node'));
    await superNode.listen(new WssTransport());
    const node = { folder: join(folder, 'node'), address: superNode.address, key: superNode.signer.publicKey };
    const child = fork(pathToFileURL(join(root, 'packages/node/bench/measured-node.ts')), [], {
      execArgv,
      cwd: root,
      env: { ...process.env, ORB_BENCH_NODE: JSON.stringify(node) },
    });
    await superNode.linked();
    await superNode.seed(fn);
    return new Rig(name, superNode, child, folder);
  }

  private constructor(name: string, superNode: ScriptedSuperNode, child: ChildProcess, folder: string) {
    this.name = name;
    this.#superNode = superNode;
    this.#child = child;
    this.#folder = folder;
    this.#books = setInterval(() => this.#keepBooks(), 100);
  }

  async run({ inFlight, busyUs, ms }: Load): Promise<Figures> {
    const before = cpuUs(this.#child.pid!);
    const ownBefore = process.cpuUsage();
    const startedMs = performance.now();
    const latencies: number[] = [];
    const caller = async () => {
      while (performance.now() - startedMs < ms) {
        const sentMs = performance.now();
        while ((performance.now() - sentMs) * 1_000 < busyUs);
        await this.#call();
        latencies.push(performance.now() - sentMs);
      }
    };
    await Promise.all(Array.from({ length: inFlight }, caller));
    const elapsedMs = performance.now() - startedMs;
    const own = process.cpuUsage(ownBefore);
    const after = cpuUs(this.#child.pid!);
    const calls = latencies.length;
    latencies.sort((a, b) => a - b);
    return {
      perSecond: (calls / elapsedMs) * 1_000,
      p50Ms: latencies[calls >> 1]!,
      p99Ms: latencies[Math.floor(calls * 0.99)]!,
      nodeUs: (after.node - before.node) / calls,
      sandboxUs: (after.sandbox - before.sandbox) / calls,
      callerUs: (own.user + own.system) / calls,
    };
  }

  async stop(): Promise<void> {
    clearInterval(this.#books);
    this.#child.disconnect();
    await once(this.#child, 'exit');
    await this.#superNode.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #call(): Promise<void> {
    if (++this.#handedOut % ticketsPerRoot === 0) this.#superNode.signTickets();
    const request = { headers: [['content-type', 'application/json']] as [string, string][] };
    const { answer } = await this.#superNode.send(fn, { body: utf8(payload), request });
    const bytes = answer.body.complete ?? (await answer.body.bytes(1_000_000));
    const trailer = answer.completeTrailer ?? (await answer.trailer);
    if (trailer === undefined || fromUtf8(bytes) !== payload) throw new Error('a wrong answer');
  }

  /** Proves the tickets handed out and settles whatever is proven, as a real super node does. */
  #keepBooks(): void {
    this.#superNode.signTickets();
    const proven = this.#superNode.roots.at(-1);
    if (proven) this.#superNode.settle(proven.batch);
    this.#superNode.roots.length = 0;
  }
}

/** Processor time of the node and of everything below it. */
function cpuUs(pid: number): { node: number; sandbox: number } {
  const parents = new Map<number, number>();
  for (const entry of readdirSync('/proc').map(Number).filter(Boolean)) {
    const parent = parentOf(entry);
    if (parent !== undefined) parents.set(entry, parent);
  }
  const below = (id: number): number =>
    [...parents].reduce((sum, [child, parent]) => (parent === id ? sum + ownUs(child) + below(child) : sum), 0);
  return { node: ownUs(pid), sandbox: below(pid) };
}

function parentOf(pid: number): number | undefined {
  const stat = readIfThere(`/proc/${pid}/stat`);
  return stat === undefined ? undefined : Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
}

/** To the nanosecond, where a process's own line counts in hundredths of a second. */
function ownUs(pid: number): number {
  let ns = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`))
    ns += Number(readIfThere(`/proc/${pid}/task/${thread}/schedstat`)?.split(' ')[0] ?? 0);
  return ns / 1_000;
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return undefined;
  }
}
