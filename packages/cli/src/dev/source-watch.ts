import { watch, type FSWatcher } from 'node:fs';
import { dirname, join, sep } from 'node:path';

export interface SourceWatchOptions {
  /** How long changes are gathered: editors write a file in several steps. @default 30 ms */
  readonly settleMs?: number;
}

/** Folders that are watched at once; a function of more is not written by hand. */
const maxFolders = 500;

/** Watches the source files of a function. Folders are watched, since editors replace files. */
export class SourceWatch {
  readonly #settleMs: number;
  readonly #folders = new Map<string, FSWatcher>();
  #files: ReadonlySet<string> | undefined = new Set();
  #timer: NodeJS.Timeout | undefined;
  #changed = Promise.withResolvers<void>();

  constructor(options: SourceWatchOptions = {}) {
    this.#settleMs = options.settleMs ?? 30;
  }

  /**
   * From now on these files count; npm packages do not.
   * @param options.any every file in their folders counts, since nobody knows what the source needs while it is broken
   */
  set(files: readonly string[], options: { readonly any?: boolean } = {}): void {
    const own = files.filter((file) => !file.includes(`${sep}node_modules${sep}`));
    this.#files = options.any ? undefined : new Set(own);
    const folders = new Set(own.map((file) => dirname(file)).slice(0, maxFolders));
    for (const [folder, watcher] of this.#folders) {
      if (folders.has(folder)) continue;
      watcher.close();
      this.#folders.delete(folder);
    }
    for (const folder of folders) if (!this.#folders.has(folder)) this.#watch(folder);
  }

  /** Resolves when a file has changed since the last call. */
  async changed(): Promise<void> {
    await this.#changed.promise;
    this.#changed = Promise.withResolvers();
  }

  close(): void {
    clearTimeout(this.#timer);
    for (const watcher of this.#folders.values()) watcher.close();
    this.#folders.clear();
  }

  #watch(folder: string): void {
    try {
      const watcher = watch(folder, (_, name) => {
        if (name !== null && this.#files && !this.#files.has(join(folder, name))) return;
        clearTimeout(this.#timer);
        this.#timer = setTimeout(() => this.#changed.resolve(), this.#settleMs);
      });
      // A folder that goes away is seen by the next build.
      watcher.on('error', () => watcher.close());
      this.#folders.set(folder, watcher);
    } catch {
      // So is one that has gone already.
    }
  }
}
