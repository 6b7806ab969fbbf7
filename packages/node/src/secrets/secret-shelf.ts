import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  hex32,
  limits,
  OrbError,
  readSecrets,
  sequence,
  type ChainId,
  type FunctionId,
  type Hex32,
  type NodeId,
  type Secrets,
  type SecretValues,
} from '@orb/protocol';
import type { Unsealer } from '@orb/protocol/sealed-box';
import { z } from 'zod';
import { replaceFile } from '../replace-file.ts';

export interface SecretShelfOptions {
  /** A file for each function, as sealed as it came. */
  readonly folder: string;
  readonly chain: ChainId;
  readonly node: NodeId;
}

export interface SecretShelfDependencies {
  /** Of the node's own key. */
  readonly unsealer: Unsealer;
}

const fileSchema = z.strictObject({
  v: z.literal(1),
  function: hex32,
  number: sequence,
  /** The control key that signed it. */
  key: hex32,
  /** Base64; null when the function is held no longer: its number stays, so that no older one comes back. */
  box: z
    .string()
    .max(limits.secretBoxBytes * 2)
    .nullable(),
});
type Held = z.output<typeof fileSchema>;

/** Functions whose numbers are remembered; the one that came first without a box goes first. */
const maxFunctions = 10_000;

/**
 * The secrets of the functions that this node seeds. In memory and on disk they are sealed; they are open only while an
 * instance is being started. What cannot be read back is left out: a super node brings it again.
 */
export class SecretShelf {
  readonly #options: SecretShelfOptions;
  readonly #unsealer: Unsealer;
  readonly #held = new Map<FunctionId, Held>();
  readonly #listeners = new Set<(fn: FunctionId) => void>();
  /** Writes of one function come one after the other. */
  readonly #saving = new Map<FunctionId, Promise<void>>();

  constructor(options: SecretShelfOptions, dependencies: SecretShelfDependencies) {
    this.#options = options;
    this.#unsealer = dependencies.unsealer;
    mkdirSync(options.folder, { recursive: true, mode: 0o700 });
    for (const name of readdirSync(options.folder).filter((file) => file.endsWith('.json'))) {
      const held = readHeld(join(options.folder, name));
      if (held && (held.box === null || this.#open(held))) this.#held.set(held.function, held);
    }
  }

  /** Functions whose secrets are here, each with its number. */
  get numbers(): [FunctionId, number][] {
    return [...this.#held.values()].flatMap(({ function: fn, number, box }) => (box === null ? [] : [[fn, number] as [string, number]]));
  }

  /** The number of the secrets that a function's next instance gets; undefined where there are none. */
  number(fn: FunctionId): number | undefined {
    const held = this.#held.get(fn);
    return held === undefined || held.box === null ? undefined : held.number;
  }

  /** Told of each function whose secrets have come, changed or gone. */
  onChange(listener: (fn: FunctionId) => void): void {
    this.#listeners.add(listener);
  }

  /**
   * Takes a box; resolves when it is durable. The same number again changes nothing.
   * @param key the function's control key now
   * @returns the number held now
   * @throws OrbError `too-large`, `invalid-request` for a box that this node cannot open or that holds another function's or
   * node's, `wrong-chain`, `bad-signature`, `bad-sequence` for a number below the one held
   */
  async take(fn: FunctionId, key: Hex32, box: Uint8Array): Promise<number> {
    if (box.byteLength > limits.secretBoxBytes)
      throw new OrbError('too-large', { message: `A box of secrets has at most ${limits.secretBoxBytes} bytes.` });
    const { number } = this.#read(fn, key, box);
    const before = this.#held.get(fn);
    if (before?.key === key && number < before.number) {
      throw new OrbError('bad-sequence', { message: `Secrets number ${number} are old: this node has seen ${before.number}.` });
    }
    if (before?.key === key && number === before.number && before.box !== null) return number;
    this.#held.set(fn, { v: 1, function: fn, number, key, box: Buffer.from(box).toString('base64') });
    this.#bound();
    await this.#save(fn);
    this.#tell(fn);
    return number;
  }

  /**
   * What an instance finds in its environment.
   * @throws OrbError `node-refused` when this node does not have every one of them
   */
  values(fn: FunctionId, names: readonly string[]): SecretValues {
    if (names.length === 0) return {};
    const held = this.#held.get(fn);
    const all = held && this.#open(held)?.values;
    if (!all) throw new OrbError('node-refused', { message: 'The node does not hold the secrets of this function.' });
    const missing = names.find((name) => all[name] === undefined);
    if (missing !== undefined)
      throw new OrbError('node-refused', { message: `The secrets that the node holds have no ${missing}: its owner has not put it.` });
    return Object.fromEntries(names.map((name) => [name, all[name]!]));
  }

  /** Forgets the secrets of every function that is not among these. */
  async keepOnly(functions: ReadonlySet<FunctionId>): Promise<void> {
    const gone = [...this.#held.values()].filter(({ function: fn, box }) => box !== null && !functions.has(fn));
    for (const held of gone) this.#held.set(held.function, { ...held, box: null });
    await Promise.all(gone.map(({ function: fn }) => this.#save(fn)));
    for (const { function: fn } of gone) this.#tell(fn);
  }

  #read(fn: FunctionId, key: Hex32, box: Uint8Array): Secrets {
    const { chain, node } = this.#options;
    const content = this.#unsealer.unseal(box);
    if (!content) throw new OrbError('invalid-request', { message: 'The box does not open with this node’s key.' });
    return readSecrets(content, { chain, function: fn, node, key });
  }

  #open({ function: fn, key, box }: Held): Secrets | undefined {
    if (box === null) return undefined;
    try {
      return this.#read(fn, key, Buffer.from(box, 'base64'));
    } catch {
      return undefined;
    }
  }

  #bound(): void {
    if (this.#held.size <= maxFunctions) return;
    for (const [fn, { box }] of this.#held) {
      if (box !== null) continue;
      this.#held.delete(fn);
      // Nothing is lost where this fails: it is tried again at the next start.
      this.#save(fn).catch(() => undefined);
      return;
    }
  }

  #save(fn: FunctionId): Promise<void> {
    const saved = (this.#saving.get(fn) ?? Promise.resolve())
      .catch(() => undefined)
      .then(() => this.#write(fn))
      .finally(() => {
        if (this.#saving.get(fn) === saved) this.#saving.delete(fn);
      });
    this.#saving.set(fn, saved);
    return saved;
  }

  #write(fn: FunctionId): Promise<void> {
    const held = this.#held.get(fn);
    const path = join(this.#options.folder, `${fn}.json`);
    return held ? replaceFile(path, JSON.stringify(held)) : rm(path, { force: true });
  }

  #tell(fn: FunctionId): void {
    for (const listener of this.#listeners) listener(fn);
  }
}

function readHeld(path: string): Held | undefined {
  try {
    return fileSchema.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch {
    return undefined;
  }
}
