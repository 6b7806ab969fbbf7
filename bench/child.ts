import { fork, type ChildProcess } from 'node:child_process';

/** One of the bench's own processes, talking over Node's process channel. */
export interface Child {
  readonly pid: number;
  /** Sends a message and resolves with the child's next one. @throws Error when the child ends first */
  ask(message: unknown): Promise<unknown>;
  /** Ends the child and resolves when it is gone. */
  stop(): Promise<void>;
}

export interface ChildOptions {
  readonly argv?: readonly string[];
  /** Flags of Node itself, such as `--cpu-prof`. */
  readonly nodeFlags?: readonly string[];
}

/** How long a child may take to come up, to answer beyond its run, and to end by itself. */
const startTimeoutMs = 60_000;
const stopTimeoutMs = 5_000;

/** Starts a module as a process and resolves with it and its first message. It dies with this process. */
export async function startChild(module: URL, options: ChildOptions = {}): Promise<{ readonly child: Child; readonly ready: unknown }> {
  const forked = fork(module, options.argv ?? [], {
    execArgv: [...(options.nodeFlags ?? [])],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    serialization: 'advanced',
  });
  const child = new ForkedChild(forked, module);
  try {
    return { child, ready: await child.next(startTimeoutMs) };
  } catch (error) {
    await child.stop();
    throw error;
  }
}

class ForkedChild implements Child {
  readonly #forked: ChildProcess;
  readonly #name: string;
  readonly #gone: Promise<void>;

  constructor(forked: ChildProcess, module: URL) {
    this.#forked = forked;
    this.#name = module.pathname.split('/').slice(-2).join('/');
    this.#gone = new Promise((resolve) => forked.once('exit', () => resolve()));
    // A message to a child that has just ended is told to whoever waits for the answer, and to nobody else.
    forked.on('error', () => undefined);
  }

  get pid(): number {
    return this.#forked.pid ?? -1;
  }

  ask(message: unknown): Promise<unknown> {
    const answer = this.next();
    if (this.#forked.connected) this.#forked.send(message as object);
    else this.#forked.emit('error', new Error(`${this.#name} has been stopped.`));
    return answer;
  }

  next(timeoutMs?: number): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const settle = () => {
        clearTimeout(timer);
        this.#forked.off('message', onMessage).off('exit', onExit).off('error', reject);
      };
      const onMessage = (message: unknown) => {
        settle();
        resolve(message);
      };
      const onExit = (code: number | null, signal: string | null) => {
        settle();
        reject(new Error(`${this.#name} ended with ${signal ?? `code ${code}`}.`));
      };
      const late = () => {
        settle();
        reject(new Error(`${this.#name} said nothing for ${timeoutMs} ms.`));
      };
      const timer = timeoutMs === undefined ? undefined : setTimeout(late, timeoutMs);
      this.#forked.on('message', onMessage).on('exit', onExit).on('error', reject);
    });
  }

  async stop(): Promise<void> {
    if (this.#forked.connected) this.#forked.disconnect();
    const timer = setTimeout(() => this.#forked.kill('SIGKILL'), stopTimeoutMs);
    if (this.#forked.pid === undefined) return clearTimeout(timer);
    await this.#gone;
    clearTimeout(timer);
  }
}

/** In a child: the first argument that its parent gave it, which must be JSON. */
export function childArgument<T>(): T {
  return JSON.parse(process.argv[2] ?? 'null') as T;
}

/** In a child: says that it is ready, and ends the process in good order when the parent lets go or dies. */
export function reportReady(message: unknown): void {
  process.once('disconnect', () => process.exit(0));
  // Ctrl-C reaches the whole group; the parent decides the order in which its children end.
  process.on('SIGINT', () => {});
  process.send?.(message as object);
}
