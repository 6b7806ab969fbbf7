import { z } from 'zod';
import { verify, type Hex32, type Hex64, type Signer } from '#crypto';
import { labels, statement } from './canonical.ts';
import { OrbError } from './errors.ts';
import { hex32, hex64 } from './schema.ts';

/*
 * Handshake of a link, three JSON text messages after the WebSocket is open:
 *   dialler  → listener  { v, chain, role, key, nonce }
 *   listener → dialler   { v, chain, role, key, nonce, signature }   signature over the transcript, label link-accept
 *   dialler  → listener  { signature }                               signature over the transcript, label link-confirm
 * The transcript holds both keys, nonces and roles and the TLS exporter (RFC 9266's `tls-exporter` channel binding),
 * so it can be neither replayed nor carried over to another connection by a machine in the middle.
 */
export const linkRoles = ['node', 'super-node', 'client'] as const;
/** What a side of a link is. */
export type LinkRole = (typeof linkRoles)[number];

/** First message, from the dialler. */
export const linkHelloSchema = z.strictObject({
  v: z.literal(1),
  chain: hex32,
  role: z.enum(linkRoles),
  key: hex32,
  nonce: hex32,
});
/** Second message, from the listener. */
export const linkAcceptSchema = z.strictObject({ ...linkHelloSchema.shape, signature: hex64 });
/** Third message, from the dialler. */
export const linkConfirmSchema = z.strictObject({ signature: hex64 });
/** A hello as read. */
export type LinkHello = z.output<typeof linkHelloSchema>;

/** Label of the TLS exporter (RFC 5705) whose 32 bytes bind the handshake to the connection. */
export const linkExporterLabel = 'EXPORTER-Orb-link-1';

/** What both sides sign. */
export interface LinkTranscript {
  readonly dialler: LinkHello;
  readonly listener: LinkHello;
  /** 32 bytes of the TLS exporter; all zeros only for links inside one process. */
  readonly exporter: Hex32;
}

function transcriptBytes(step: 'accept' | 'confirm', { dialler, listener, exporter }: LinkTranscript): Uint8Array {
  return statement(step === 'accept' ? labels.linkAccept : labels.linkConfirm, { dialler, listener, exporter });
}

/** This side’s signature: the listener’s for `accept`, the dialler’s for `confirm`. */
export function signTranscript(step: 'accept' | 'confirm', transcript: LinkTranscript, signer: Signer): Hex64 {
  return signer.sign(transcriptBytes(step, transcript));
}

/**
 * Checks the other side's signature over the transcript that this side saw.
 * @throws OrbError `link-refused` when the two sides are on different chains or are one key, or the signature is wrong
 */
export function checkTranscript(step: 'accept' | 'confirm', transcript: LinkTranscript, signature: Hex64): void {
  const { dialler, listener } = transcript;
  if (dialler.chain !== listener.chain) throw new OrbError('link-refused', { message: 'The other side belongs to another network.' });
  if (dialler.key === listener.key || dialler.nonce === listener.nonce) {
    throw new OrbError('link-refused', { message: 'The other side only sends back what it was sent.' });
  }
  const signedBy = step === 'accept' ? listener : dialler;
  if (!verify(signedBy.key, transcriptBytes(step, transcript), signature)) {
    throw new OrbError('link-refused', {
      message: 'The other side could not prove that it holds its key on this connection.',
    });
  }
}
