import { verify, type Hex32, type Hex64 } from '#crypto';

/** What is remembered: short messages, such as roots, and so many bytes of them together. */
const bounds = { messageBytes: 4_096, keptBytes: 1_048_576 } as const;

/**
 * Verifies by the same rule as `verify`, and remembers for one more time what was right: a super node checks a node's root
 * when it comes, and the ledger's contract checks it again when it is settled. Only the very same key, message and
 * signature are known; of what was wrong, nothing.
 */
export class KnownSignatures {
  readonly #check: typeof verify;
  readonly #known = new Map<string, Uint8Array>();
  #bytes = 0;

  constructor({ check = verify }: { readonly check?: typeof verify } = {}) {
    this.#check = check;
  }

  readonly verify = (publicKey: Hex32, message: Uint8Array, signature: Hex64): boolean => {
    // No well-formed key or signature holds a slash: the two cannot be cut in another way.
    const id = `${publicKey}/${signature}`;
    const known = this.#known.get(id);
    if (known !== undefined && isSame(known, message)) {
      this.#forget(id, known);
      return true;
    }
    if (!this.#check(publicKey, message, signature)) return false;
    if (message.length <= bounds.messageBytes) this.#remember(id, message.slice());
    return true;
  };

  #remember(id: string, message: Uint8Array): void {
    this.#known.set(id, message);
    this.#bytes += message.length;
    for (const [oldest, its] of this.#known) {
      if (this.#bytes <= bounds.keptBytes) return;
      this.#forget(oldest, its);
    }
  }

  #forget(id: string, message: Uint8Array): void {
    this.#known.delete(id);
    this.#bytes -= message.length;
  }
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
