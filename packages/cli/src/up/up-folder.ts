import { link, mkdir, readFile, rename, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { OrbError, parseWith } from '@orb/protocol';
import { z } from 'zod';
import { birthOf, commandOf, waitUntilGone } from './process-identity.ts';

const stateSchema = z.object({
  v: z.literal(1),
  ports: z.object({ gateway: z.int(), links: z.int() }).optional(),
  children: z
    .array(z.object({ name: z.string().max(64), pid: z.int().min(2) }))
    .max(256)
    .default([]),
});

/** What `orb up` remembers between starts. */
export type UpState = z.output<typeof stateSchema>;

/** How long children of a crashed `up` may take to end by themselves. */
const orphanGraceMs = 15_000;

/** The folder that holds a whole network on one machine. One `orb up` uses it at a time. */
export class UpFolder {
  readonly path: string;
  /** ORB_HOME of the demo accounts. */
  readonly home: string;
  #state: UpState = { v: 1, children: [] };

  private constructor(path: string, home: string) {
    this.path = path;
    this.home = home;
  }

  /**
   * Takes the folder: waits for children that a crashed `up` has left, and ends those that stay.
   * @param options.orphanGraceMs how long such children may take to end by themselves. @default 15 s
   * @param options.home ORB_HOME of the demo accounts. @default `home` in the folder
   * @throws OrbError `conflict` when another `orb up` uses it now
   */
  static async take(path: string, options: { readonly orphanGraceMs?: number; readonly home?: string } = {}): Promise<UpFolder> {
    const folder = new UpFolder(path, options.home ?? join(path, 'home'));
    for (const part of [folder.home, path, join(path, 'logs'), join(path, 'nodes')]) await mkdir(part, { recursive: true, mode: 0o700 });
    await folder.#lock();
    folder.#state = await folder.#read();
    for (const { pid } of folder.#state.children) await folder.#endOrphan(pid, options.orphanGraceMs ?? orphanGraceMs);
    return folder;
  }

  get state(): UpState {
    return this.#state;
  }

  get superNode(): string {
    return join(this.path, 'super-node');
  }

  get superNodeConfig(): string {
    return join(this.path, 'super-node.json');
  }

  node(label: string): string {
    return join(this.path, 'nodes', label);
  }

  log(name: string): string {
    return join(this.path, 'logs', `${name.replaceAll(' ', '-')}.log`);
  }

  async remember(changes: Partial<Omit<UpState, 'v'>>): Promise<void> {
    this.#state = { ...this.#state, ...changes };
    const path = join(this.path, 'up.json');
    await writeFile(`${path}.tmp`, `${JSON.stringify(this.#state, null, 2)}\n`, { mode: 0o600 });
    await rename(`${path}.tmp`, path);
  }

  /** Gives the folder back. */
  async release(): Promise<void> {
    await this.remember({ children: [] });
    await unlink(this.#lockFile).catch(() => undefined);
  }

  get #lockFile(): string {
    return join(this.path, 'up.lock');
  }

  async #lock(): Promise<void> {
    const draft = `${this.#lockFile}.${process.pid}`;
    await writeFile(draft, `${process.pid} ${await birthOf(process.pid)}`, { mode: 0o600 });
    try {
      for (let attempt = 0; attempt < 2; attempt++) {
        // A link is there with its content or not at all: nobody reads a lock that is still empty.
        if (await tookName(draft, this.#lockFile)) return;
        await this.#breakStaleLock();
      }
    } finally {
      await unlink(draft).catch(() => undefined);
    }
    throw new OrbError('conflict', { message: `Another orb up is starting in ${this.path}.`, hint: 'Try again in a moment.' });
  }

  async #breakStaleLock(): Promise<void> {
    const [pid = '', birth] = (await readFile(this.#lockFile, 'utf8').catch(() => '')).split(/ (.*)/);
    if (birth !== undefined && Number(pid) !== process.pid && (await birthOf(Number(pid))) === birth) {
      throw new OrbError('conflict', {
        message: `This network runs already, in process ${pid}.`,
        hint: 'Stop it with Ctrl-C where it runs, or choose another folder: --data FOLDER',
      });
    }
    await unlink(this.#lockFile).catch(() => undefined);
  }

  async #read(): Promise<UpState> {
    try {
      return parseWith(stateSchema, JSON.parse(await readFile(join(this.path, 'up.json'), 'utf8')), 'up.json');
    } catch {
      return { v: 1, children: [] };
    }
  }

  async #endOrphan(pid: number, graceMs: number): Promise<void> {
    const command = await commandOf(pid);
    if (command === undefined || !isOurs(command) || !command.includes(this.path)) return;
    if (!(await waitUntilGone(pid, graceMs))) process.kill(pid, 'SIGKILL');
    await waitUntilGone(pid, 2_000);
  }
}

async function tookName(draft: string, name: string): Promise<boolean> {
  try {
    await link(draft, name);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** The same program as this one. An empty command line is one that this system does not show. */
function isOurs(command: string): boolean {
  return command === '' || command.includes(process.argv[1] ?? 'orb');
}
