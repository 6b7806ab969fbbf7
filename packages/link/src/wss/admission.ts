import { addressKey } from '../address-key.ts';

/** How much one listener takes on. A bound for each address keeps one of them from taking the place of all others. */
export interface AdmissionLimits {
  /** Connections, half open or linked. @default 20,000 */
  readonly connections: number;
  /** Connections from one address. @default 256: a household or a computer room behind one address */
  readonly connectionsPerAddress: number;
  /** Connections that have not linked yet; each is gone after a few seconds. @default 1,024 */
  readonly handshakes: number;
  /** The same from one address. @default 64 */
  readonly handshakesPerAddress: number;
}

export const defaultAdmissionLimits: AdmissionLimits = {
  connections: 20_000,
  connectionsPerAddress: 256,
  handshakes: 1_024,
  handshakesPerAddress: 64,
};

interface Count {
  connections: number;
  handshakes: number;
}

/** The place that a connection takes. */
export interface Admitted {
  /** The handshake is over. */
  linked(): void;
  /** The connection is gone. */
  left(): void;
}

/** Counts the connections of one listener. */
export class Admission {
  readonly #limits: AdmissionLimits;
  readonly #all: Count = { connections: 0, handshakes: 0 };
  readonly #byAddress = new Map<string, Count>();

  constructor(limits: AdmissionLimits) {
    this.#limits = limits;
  }

  /** A place for a connection from `address`, or undefined when there is none. */
  admit(address: string): Admitted | undefined {
    const key = addressKey(address);
    const here = this.#byAddress.get(key) ?? { connections: 0, handshakes: 0 };
    const limits = this.#limits;
    if (this.#all.connections >= limits.connections || here.connections >= limits.connectionsPerAddress) return undefined;
    if (this.#all.handshakes >= limits.handshakes || here.handshakes >= limits.handshakesPerAddress) return undefined;
    this.#byAddress.set(key, here);
    const counts = [this.#all, here];
    for (const count of counts) {
      count.connections++;
      count.handshakes++;
    }
    let shaking = true;
    const linked = () => {
      if (shaking) for (const count of counts) count.handshakes--;
      shaking = false;
    };
    const left = () => {
      linked();
      for (const count of counts) count.connections--;
      if (here.connections === 0) this.#byAddress.delete(key);
    };
    return { linked, left };
  }
}
