import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { WebSocket } from 'ws';

/** Why there is no browser here; undefined where there is one. @throws Error with CI=true, where one must be */
export function noChromium(): string | undefined {
  if (findChromium() !== undefined) return undefined;
  const reason = 'not installed: chromium (Debian: chromium)';
  if (!['', '0', 'false', undefined].includes(process.env['CI'])) throw new Error(reason);
  return reason;
}

function findChromium(): string | undefined {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  return folders.flatMap((folder) => ['chromium', 'chromium-browser', 'google-chrome'].map((name) => join(folder, name))).find(existsSync);
}

/** How long the browser may take to start, or to answer one question. */
const patienceMs = 60_000;

interface Answer {
  readonly id?: number;
  readonly method?: string;
  readonly params?: { readonly exceptionDetails?: unknown; readonly args?: readonly { readonly value?: unknown }[] };
  readonly result?: { readonly [name: string]: unknown };
  readonly error?: { readonly message: string };
}

/** A real browser without a window, spoken to over the DevTools protocol, with one page. */
export class Chromium {
  readonly #process: ChildProcess;
  readonly #folder: string;
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, PromiseWithResolvers<Answer>>();
  /** What the page has said to its console, and errors that nobody caught. */
  readonly said: string[] = [];
  #session: string | undefined;
  #lastId = 0;

  private constructor(child: ChildProcess, folder: string, socket: WebSocket) {
    this.#process = child;
    this.#folder = folder;
    this.#socket = socket;
    socket.on('message', (data) => this.#take(JSON.parse((data as Buffer).toString()) as Answer));
  }

  static async start(): Promise<Chromium> {
    const folder = await mkdtemp(join(tmpdir(), 'orb-chromium-'));
    const flags = ['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run', '--disable-extensions'];
    const argv = [...flags, '--disable-background-networking', `--user-data-dir=${folder}`, '--remote-debugging-port=0', 'about:blank'];
    // A group of its own, so that the end of it is the end of all its processes.
    const child = spawn(findChromium()!, argv, {
      detached: true,
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, HOME: folder },
    });
    try {
      const socket = new WebSocket(await devToolsOf(child), { perMessageDeflate: false });
      await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
      return new Chromium(child, folder, socket);
    } catch (error) {
      await endGroup(child, folder);
      throw error;
    }
  }

  /** Opens a page, and leaves the one before it. */
  async open(url: string): Promise<void> {
    const { targetId } = (await this.#send('Target.createTarget', { url: 'about:blank' })) as { targetId: string };
    const { sessionId } = (await this.#send('Target.attachToTarget', { targetId, flatten: true })) as { sessionId: string };
    this.#session = sessionId;
    for (const domain of ['Runtime.enable', 'Page.enable']) await this.#send(domain);
    const loaded = Promise.withResolvers<void>();
    this.#onLoad = loaded.resolve;
    await this.#send('Page.navigate', { url });
    await loaded.promise;
  }

  /** What an expression in the page comes to, once its promise has. @throws Error with what it threw */
  async evaluate<T>(expression: string): Promise<T> {
    const { result, exceptionDetails } = (await this.#send('Runtime.evaluate', {
      expression,
      awaitPromise: true,
      returnByValue: true,
    })) as {
      result: { value?: unknown };
      exceptionDetails?: { exception?: { description?: string; value?: unknown }; text: string };
    };
    if (!exceptionDetails) return result.value as T;
    const { exception, text } = exceptionDetails;
    throw new Error(`In the page: ${exception?.description ?? JSON.stringify(exception?.value) ?? text}\n${this.said.join('\n')}`);
  }

  async stop(): Promise<void> {
    this.#socket.terminate();
    await endGroup(this.#process, this.#folder);
  }

  #onLoad: (() => void) | undefined;

  #take({ id, method, params, result, error }: Answer): void {
    if (id !== undefined) {
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error) waiting?.reject(new Error(error.message));
      else waiting?.resolve({ result: result ?? {} });
    }
    if (method === 'Page.loadEventFired') this.#onLoad?.();
    if (method === 'Runtime.exceptionThrown') this.said.push(JSON.stringify(params?.exceptionDetails));
    if (method === 'Runtime.consoleAPICalled') this.said.push((params?.args ?? []).map(({ value }) => String(value)).join(' '));
  }

  async #send(method: string, params: object = {}): Promise<unknown> {
    const id = ++this.#lastId;
    const waiting = Promise.withResolvers<Answer>();
    this.#waiting.set(id, waiting);
    const timer = setTimeout(() => waiting.reject(new Error(`The browser did not answer ${method}.\n${this.said.join('\n')}`)), patienceMs);
    this.#socket.send(JSON.stringify({ id, method, params, ...(this.#session !== undefined && { sessionId: this.#session }) }));
    try {
      return (await waiting.promise).result;
    } finally {
      clearTimeout(timer);
    }
  }
}

function devToolsOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    const timer = setTimeout(() => reject(new Error(`The browser did not start:\n${text}`)), patienceMs);
    const end = (settle: () => void) => {
      clearTimeout(timer);
      settle();
    };
    child.stderr!.setEncoding('utf8').on('data', (part: string) => {
      text += part;
      const address = /DevTools listening on (ws:\S+)/.exec(text)?.[1];
      if (address !== undefined) end(() => resolve(address));
    });
    child.once('error', (error) => end(() => reject(error)));
    child.once('exit', (code) => end(() => reject(new Error(`The browser ended with ${code}:\n${text}`))));
  });
}

async function endGroup(child: ChildProcess, folder: string): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) {
    const ended = new Promise((resolve) => child.once('exit', resolve));
    process.kill(-child.pid!, 'SIGKILL');
    await ended;
  }
  await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
}
