import { spawn, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** The command itself, as `npm run orb` starts it. */
export const orbMain = fileURLToPath(new URL('../../packages/cli/src/main.ts', import.meta.url));

export interface OrbProcessOptions {
  /** For messages: `super node`, `node ant`, `orb deploy`. */
  readonly name: string;
  /** Words after the program. */
  readonly argv: readonly string[];
  /** The whole environment: nothing of the machine's own but PATH. */
  readonly env: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** @default the Node that runs this test */
  readonly program?: string;
  /** A process group of its own, to be signalled as a terminal signals. */
  readonly ownGroup?: boolean;
}

export interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A real process of the network. Everything it prints is kept. */
export class OrbProcess {
  readonly name: string;
  readonly ended: Promise<Ending>;
  readonly #child: ChildProcess;
  readonly #ownGroup: boolean;
  readonly #stdout: Buffer[] = [];
  readonly #stderr: Buffer[] = [];
  readonly #onOutput = new Set<() => void>();

  constructor({ name, argv, env, cwd, program = process.execPath, ownGroup = false }: OrbProcessOptions) {
    this.name = name;
    this.#ownGroup = ownGroup;
    this.#child = spawn(program, argv, { env, stdio: ['pipe', 'pipe', 'pipe'], detached: ownGroup, ...(cwd !== undefined && { cwd }) });
    this.#child.stdin!.on('error', () => undefined);
    this.#keep(this.#child.stdout!, this.#stdout);
    this.#keep(this.#child.stderr!, this.#stderr);
    this.ended = new Promise((resolve, reject) => {
      this.#child.on('error', reject);
      this.#child.on('close', (code, signal) => resolve({ code, signal }));
    });
    this.ended.catch(() => undefined);
  }

  get pid(): number {
    return this.#child.pid!;
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** What it has printed to stdout so far. */
  get bytes(): Buffer {
    return Buffer.concat(this.#stdout);
  }

  get stdout(): string {
    return this.bytes.toString();
  }

  get stderr(): string {
    return Buffer.concat(this.#stderr).toString();
  }

  /** Gives it its standard input, and closes that. */
  input(bytes: Uint8Array | string): void {
    this.#child.stdin!.end(bytes);
  }

  /** Its first line on stdout, which says in JSON that it is ready. */
  async ready(withinMs = 30_000): Promise<Readonly<Record<string, unknown>>> {
    await this.#until(() => this.stdout.includes('\n'), 'that it is ready', withinMs);
    return JSON.parse(this.stdout.split('\n', 1)[0]!) as Record<string, unknown>;
  }

  /** Resolves when it has printed this, to stdout or stderr. @throws Error when it ends before, or takes too long */
  async said(pattern: RegExp, withinMs = 30_000): Promise<void> {
    await this.#until(() => pattern.test(this.stdout) || pattern.test(this.stderr), String(pattern), withinMs);
  }

  /** Sends a signal to it, or to its whole group where that is its own, and waits until it has ended; SIGKILL when that takes too long. */
  async end(signal: NodeJS.Signals, options: { readonly withinMs?: number; readonly group?: boolean } = {}): Promise<Ending> {
    const send = (one: NodeJS.Signals, group = this.#ownGroup) => this.running && process.kill(group ? -this.pid : this.pid, one);
    send(signal, options.group);
    const timer = setTimeout(() => send('SIGKILL'), options.withinMs ?? 40_000);
    try {
      return await this.ended;
    } finally {
      clearTimeout(timer);
    }
  }

  async #until(isSo: () => boolean, what: string, withinMs: number): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const fail = (why: string) => reject(new Error(`${this.name} ${why} without saying ${what}:\n${this.stdout}${this.stderr}`));
    const look = () => {
      if (isSo()) resolve();
    };
    const timer = setTimeout(() => fail(`went on for ${withinMs} ms`), withinMs);
    this.#onOutput.add(look);
    look();
    void this.ended.then(
      () => (look(), fail('ended')),
      (error: Error) => fail(error.message),
    );
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      this.#onOutput.delete(look);
    }
  }

  #keep(stream: NodeJS.ReadableStream, parts: Buffer[]): void {
    stream.on('data', (part: Buffer) => {
      parts.push(part);
      for (const look of this.#onOutput) look();
    });
  }
}
