import { spawn, type ChildProcess } from 'node:child_process';
import { createWriteStream, type WriteStream } from 'node:fs';
import { OrbError } from '@orb/protocol';

export interface ChildOptions {
  /** For people: `super node`, `node-1`. */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  /** What it writes to stderr is added here. */
  readonly logFile: string;
  /** How long it may take until it says that it is ready. @default 60 s */
  readonly readyMs?: number;
}

/** How a child ended. */
export interface ChildEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

const tailLines = 8;
const maxLineChars = 16_384;

/**
 * A process of our own that says in one line of JSON when it is ready, and that stops when its standard input closes.
 * So it also stops when this process is killed: the system closes the pipe.
 */
export class Child {
  readonly name: string;
  readonly logFile: string;
  /** What it said when it was ready. */
  readonly ready: Promise<Readonly<Record<string, unknown>>>;
  readonly ended: Promise<ChildEnd>;
  readonly #process: ChildProcess;
  readonly #log: WriteStream;
  #tail: string[] = [];
  #asked = false;

  constructor({ name, command, args, env, logFile, readyMs = 60_000 }: ChildOptions) {
    this.name = name;
    this.logFile = logFile;
    this.#log = createWriteStream(logFile, { flags: 'a', mode: 0o600 });
    // Its own process group: Ctrl-C on the terminal reaches us alone, and we stop our children in their order.
    this.#process = spawn(command, args, {
      env,
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: process.platform !== 'win32',
      windowsHide: true,
    });
    this.#process.stdin!.on('error', () => undefined);
    this.#process.stderr!.on('data', (chunk: Buffer) => this.#keep(chunk));
    this.ended = new Promise((resolve) => {
      this.#process.on('error', () => resolve({ code: null, signal: null }));
      this.#process.on('close', (code, signal) => {
        this.#log.end();
        resolve({ code, signal });
      });
    });
    this.ready = this.#untilReady(readyMs);
    // Whoever waits for it hears of it; nobody may be waiting any more.
    this.ready.catch(() => undefined);
  }

  get pid(): number | undefined {
    return this.#process.pid;
  }

  /** True once it has been asked to stop: its end is then no surprise. */
  get stopping(): boolean {
    return this.#asked;
  }

  /** Its last words on stderr. */
  get lastWords(): readonly string[] {
    return this.#tail;
  }

  /** Asks it to stop; after `graceMs` it has to. */
  async stop(graceMs: number): Promise<ChildEnd> {
    this.#asked = true;
    this.#process.stdin!.end();
    const timer = setTimeout(() => this.kill(), graceMs);
    const end = await this.ended;
    clearTimeout(timer);
    return end;
  }

  kill(): void {
    this.#asked = true;
    this.#process.kill('SIGKILL');
  }

  #keep(chunk: Buffer): void {
    this.#log.write(chunk);
    const lines = chunk
      .toString('utf8')
      .split('\n')
      .filter((line) => line.trim() !== '')
      .map((line) => line.slice(0, 300));
    this.#tail = [...this.#tail, ...lines].slice(-tailLines);
  }

  async #untilReady(readyMs: number): Promise<Readonly<Record<string, unknown>>> {
    let timer: NodeJS.Timeout | undefined;
    const tooLate = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () =>
          reject(
            new OrbError('internal', {
              message: `The ${this.name} was not ready after ${readyMs / 1000} seconds.`,
              hint: `Its log: ${this.logFile}`,
            }),
          ),
        readyMs,
      );
    });
    const died = this.ended.then((end) => {
      throw new OrbError('internal', {
        message: `The ${this.name} ${describeEnd(end)} before it was ready.${quote(this.#tail)}`,
        hint: `Its log: ${this.logFile}`,
      });
    });
    try {
      return await Promise.race([this.#firstLine(), died, tooLate]);
    } finally {
      clearTimeout(timer);
    }
  }

  #firstLine(): Promise<Readonly<Record<string, unknown>>> {
    let text = '';
    return new Promise((resolve, reject) => {
      this.#process.stdout!.on('data', (chunk: Buffer) => {
        if (text.length > maxLineChars) return;
        text += chunk.toString('utf8');
        const end = text.indexOf('\n');
        if (end === -1) return;
        try {
          resolve(JSON.parse(text.slice(0, end)) as Record<string, unknown>);
        } catch {
          reject(
            new OrbError('internal', { message: `The ${this.name} said something else than that it is ready: ${text.slice(0, 200)}` }),
          );
        }
      });
    });
  }
}

/** `ended with code 3`, `was killed by SIGKILL` */
export function describeEnd({ code, signal }: ChildEnd): string {
  if (signal) return `was killed by ${signal}`;
  return code === null ? 'could not be started' : `ended with code ${code}`;
}

function quote(lines: readonly string[]): string {
  return lines.length === 0 ? '' : `\n${lines.map((line) => `  ${line}`).join('\n')}`;
}
