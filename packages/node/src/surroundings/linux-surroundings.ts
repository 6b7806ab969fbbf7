import { execFile } from 'node:child_process';
import { closeSync, constants, openSync, readSync } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Surroundings } from './port.ts';

export interface LinuxSurroundingsOptions {
  /** Where `proc`, `sys` and `dev` are. @default / */
  readonly root?: string;
  /** Prints what logind knows of idleness; a program and its words. @default loginctl, of all sessions */
  readonly loginctl?: readonly [string, ...string[]];
  /** Milliseconds since 1970. @default Date.now */
  readonly nowMs?: () => number;
}

/** Of /proc/stat (USER_HZ). */
const tickUs = 10_000;
const answerWithinMs = 2_000;
/** logind is asked no more often: it is another program each time. */
const askEveryMs = 15_000;
const defaultLoginctl = ['loginctl', 'show-session', '--property=IdleHint', '--property=IdleSinceHint'] as const;

/** Reads `/proc`, `/sys` and `/dev`, and asks logind. Of input it learns that there was some, never what. */
export class LinuxSurroundings implements Surroundings {
  readonly #root: string;
  readonly #loginctl: readonly [string, ...string[]];
  readonly #nowMs: () => number;
  readonly #devices = new Map<string, number>();
  readonly #buffer = Buffer.allocUnsafe(4_096);
  #touchedMs: number;
  #hint: { readonly askedMs: number; readonly sinceMs: number | undefined } | undefined;
  idleFrom = 'nothing yet';

  constructor(options: LinuxSurroundingsOptions = {}) {
    this.#root = options.root ?? '/';
    this.#loginctl = options.loginctl ?? defaultLoginctl;
    this.#nowMs = options.nowMs ?? Date.now;
    this.#touchedMs = this.#nowMs();
  }

  async idleMs(): Promise<number | undefined> {
    const nowMs = this.#nowMs();
    const known: { from: string; touchedMs: number | undefined }[] = [{ from: 'terminals', touchedMs: await this.#terminals() }];
    const handlers = await this.#humanDevices();
    const open = this.#openDevices(handlers);
    // What logind says of a desktop is only what the desktop tells it: the devices themselves are surer.
    if (open > 0) known.push({ from: 'input devices', touchedMs: this.#devicesTouched(nowMs) });
    else known.push({ from: 'logind', touchedMs: await this.#logind(nowMs) });
    const found = known.filter(({ touchedMs }) => touchedMs !== undefined);
    const sure = found.some(({ from }) => from !== 'terminals') || handlers.length === 0;
    this.idleFrom = sure && found.length > 0 ? found.map(({ from }) => from).join(' and ') : 'nothing here';
    if (!sure || found.length === 0) return undefined;
    return Math.max(0, nowMs - Math.max(...found.map(({ touchedMs }) => touchedMs!)));
  }

  async onBattery(): Promise<boolean | undefined> {
    const folder = join(this.#root, 'sys/class/power_supply');
    const names = await readdir(folder).catch(() => undefined);
    if (!names) return undefined;
    const supplies = await Promise.all(names.map(async (name) => this.#supply(join(folder, name))));
    // A mouse has a battery too.
    const own = supplies.filter(({ scope }) => scope !== 'Device');
    if (own.some(({ type, online }) => type !== 'Battery' && online === '1')) return false;
    return own.some(({ type, status }) => type === 'Battery' && status === 'Discharging');
  }

  async busyUs(): Promise<number | undefined> {
    const text = await this.#read('proc/stat');
    const [, user, nice, system, , , irq, softirq] = text?.split('\n', 1)[0]?.trim().split(/\s+/) ?? [];
    const ticks = [user, nice, system, irq, softirq].reduce((sum, field) => sum + Number(field), 0);
    return Number.isFinite(ticks) ? ticks * tickUs : undefined;
  }

  close(): void {
    for (const device of this.#devices.values()) closeSync(device);
    this.#devices.clear();
  }

  /** When something was last typed on a terminal, as `w` finds it. */
  async #terminals(): Promise<number | undefined> {
    const [dev, pts] = await Promise.all(['dev', 'dev/pts'].map((path) => readdir(join(this.#root, path)).catch(() => [])));
    const paths = [
      ...dev!.filter((name) => /^tty([1-9]\d*|S\d+)$/.test(name)).map((name) => join('dev', name)),
      ...pts!.filter((name) => /^\d+$/.test(name)).map((name) => join('dev/pts', name)),
    ];
    const times = await Promise.all(
      paths.map(async (path) => {
        const found = await stat(join(this.#root, path)).catch(() => undefined);
        return found?.atimeMs ?? 0;
      }),
    );
    const last = Math.max(0, ...times);
    return last === 0 ? undefined : last;
  }

  /** Event devices that the kernel takes for a keyboard or a mouse. */
  async #humanDevices(): Promise<string[]> {
    const text = (await this.#read('proc/bus/input/devices')) ?? '';
    return text.split('\n').flatMap((line) => {
      const handlers = /^H: Handlers=(.*)$/.exec(line)?.[1]?.trim().split(/\s+/) ?? [];
      const human = handlers.some((name) => name === 'kbd' || /^mouse\d+$/.test(name));
      return human ? handlers.filter((name) => /^event\d+$/.test(name)) : [];
    });
  }

  /** Opens those that this user may read; most desktops let nobody but root. @returns how many are open */
  #openDevices(names: readonly string[]): number {
    for (const name of names) {
      if (this.#devices.has(name)) continue;
      try {
        this.#devices.set(name, openSync(join(this.#root, 'dev/input', name), constants.O_RDONLY | constants.O_NONBLOCK));
      } catch {
        // Not ours to read.
      }
    }
    return this.#devices.size;
  }

  #devicesTouched(nowMs: number): number {
    for (const [name, device] of this.#devices) if (this.#drain(name, device)) this.#touchedMs = nowMs;
    return this.#touchedMs;
  }

  /** Takes what is waiting, and forgets it. @returns whether there was anything */
  #drain(name: string, device: number): boolean {
    let any = false;
    try {
      while (readSync(device, this.#buffer) > 0) any = true;
      return any;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return any;
      // Unplugged.
      closeSync(device);
      this.#devices.delete(name);
      return false;
    }
  }

  async #logind(nowMs: number): Promise<number | undefined> {
    if (!this.#hint || nowMs - this.#hint.askedMs >= askEveryMs) {
      const text = await output(this.#loginctl);
      const idle = /^IdleHint=(yes|no)$/m.exec(text)?.[1];
      const since = Number(/^IdleSinceHint=(\d+)$/m.exec(text)?.[1] ?? 0) / 1_000;
      this.#hint = { askedMs: nowMs, sinceMs: idle === undefined ? undefined : idle === 'no' ? nowMs : since };
    }
    return this.#hint.sinceMs;
  }

  async #supply(folder: string): Promise<Record<'type' | 'online' | 'status' | 'scope', string | undefined>> {
    const field = async (name: string) => (await readFile(join(folder, name), 'utf8').catch(() => undefined))?.trim();
    const [type, online, status, scope] = await Promise.all([field('type'), field('online'), field('status'), field('scope')]);
    return { type, online, status, scope };
  }

  #read(path: string): Promise<string | undefined> {
    return readFile(join(this.#root, path), 'utf8').catch(() => undefined);
  }
}

/** What a program prints; nothing where it fails or takes too long. */
function output([program, ...words]: readonly [string, ...string[]]): Promise<string> {
  return new Promise((resolve) => {
    execFile(program, words, { timeout: answerWithinMs, maxBuffer: 65_536 }, (error, stdout) => resolve(error ? '' : stdout));
  });
}
