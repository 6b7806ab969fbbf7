import { appendFileSync, mkdirSync, renameSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

export interface EvidenceLogOptions {
  readonly path: string;
  /** Where the file is set aside for a new one, bytes; one older file is kept. @default 16 MiB */
  readonly maxBytes?: number;
}

/** What proves that a super node lied: kept as JSON lines for a dispute. Bounded, so that lies cannot fill the disk. */
export class EvidenceLog {
  readonly #options: EvidenceLogOptions;
  #bytes: number;

  constructor(options: EvidenceLogOptions) {
    this.#options = options;
    mkdirSync(dirname(options.path), { recursive: true, mode: 0o700 });
    this.#bytes = statSync(options.path, { throwIfNoEntry: false })?.size ?? 0;
  }

  /** Keeps a fact. Evidence that cannot be written is lost silently: the node must go on. */
  keep(fact: Readonly<Record<string, unknown>>): void {
    const line = `${JSON.stringify(fact)}\n`;
    const { path, maxBytes = 16 * 1024 * 1024 } = this.#options;
    try {
      if (this.#bytes > 0 && this.#bytes + line.length > maxBytes) {
        renameSync(path, `${path}.1`);
        this.#bytes = 0;
      }
      appendFileSync(path, line, { mode: 0o600 });
      this.#bytes += line.length;
    } catch {
      // A full disk is reported by the journal, which the node cannot do without.
    }
  }
}
