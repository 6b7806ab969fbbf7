import type { TLSSocket } from 'node:tls';
import { linkExporterLabel, type Hex32 } from '@orb/protocol';
import { linkLimits, type LinkSettings } from '../link-limits.ts';
import type { AdmissionLimits } from './admission.ts';
import type { Certificate } from './certificate.ts';

export interface WssOptions {
  /** Where to listen. @default '127.0.0.1' */
  readonly host?: string;
  /** @default 0, any free port */
  readonly port?: number;
  /** @default made when first listening, see `makeCertificate` */
  readonly certificate?: Certificate;
  /** How diallers reach the listener, when it is not where it listens: `wss://links.example.org:7443`. */
  readonly publicAddress?: string;
  readonly admission?: Partial<AdmissionLimits>;
  readonly settings?: Partial<LinkSettings>;
  /** From the first byte of a connection to a link. @default 5,000 */
  readonly handshakeTimeoutMs?: number;
}

/** WebSocket subprotocol of links; another version gets another name. */
export const linkSubprotocol = 'orb-link-1';

/** What both ends ask of `ws`. */
export const wsOptions = {
  // Compression costs ten times the speed, and lets lengths tell about secrets beside chosen text.
  perMessageDeflate: false,
  maxPayload: linkLimits.messageBytes,
  // An honest side sends neither fragments nor pings of its own.
  maxFragments: 16,
  autoPong: false,
  closeTimeout: 1_000,
} as const;

/** The 32 bytes that only the two ends of this TLS connection know (RFC 9266); undefined when it is gone already. */
export function exportKey(connection: TLSSocket): Hex32 | undefined {
  try {
    return connection.exportKeyingMaterial(32, linkExporterLabel, Buffer.alloc(0)).toString('hex');
  } catch {
    return undefined;
  }
}
