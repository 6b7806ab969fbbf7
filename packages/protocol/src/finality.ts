import { verify, type Hex32, type Hex64 } from '#crypto';
import { cosignBytes, type BlockHeader } from './block.ts';
import { quorumOf } from './parameters.ts';

/** A peer's signature over {@link cosignBytes} of a block. */
export interface Cosignature {
  readonly key: Hex32;
  readonly signature: Hex64;
}

/** The keys, each once, whose co-signatures of a header are right. Whether they may be counted is the reader's part. */
export function cosignersOf(header: BlockHeader, cosignatures: readonly Cosignature[]): Set<Hex32> {
  const bytes = cosignBytes(header);
  return new Set(cosignatures.filter(({ key, signature }) => verify(key, bytes, signature)).map(({ key }) => key));
}

/** How a block stands among the peers that a reader trusts. */
export interface Finality {
  readonly final: boolean;
  /** Trusted peers that have co-signed. */
  readonly signed: number;
  /** Trusted peers in all; 0: nobody but the orderer vouches. */
  readonly of: number;
}

/** Counts co-signatures of a header by trusted peers. */
export function finalityOf(header: BlockHeader, cosignatures: readonly Cosignature[], trusted: readonly Hex32[]): Finality {
  const peers = new Set(trusted);
  const known = cosignatures.filter(({ key }) => peers.has(key));
  const signed = cosignersOf(header, known).size;
  return { final: peers.size > 0 && signed >= quorumOf(peers.size), signed, of: peers.size };
}
