import {
  asOrbError,
  checkTranscript,
  deferred,
  errorFromBody,
  linkAcceptSchema,
  linkConfirmSchema,
  linkHelloSchema,
  OrbError,
  parseWith,
  randomBytes,
  signTranscript,
  toHex,
  type Deferred,
  type Hex32,
  type LinkHello,
} from '@orb/protocol';
import { encodeFrame, frameTypes, parseJson, readFrames } from './frame.ts';
import { errorJson } from './incoming-calls.ts';
import type { MessagePipe, MessageReceiver } from './message-pipe.ts';
import type { LinkIdentity, LinkPeer } from './port.ts';

/** Bounds of a handshake. */
export const handshakeLimits = {
  /** From the first byte of the connection to a link, on either side. */
  timeoutMs: 5_000,
  /** One handshake message; a real one has about 450. */
  messageChars: 2_048,
} as const;

/** What the handshake needs to know of the connection under it. */
export interface HandshakeOptions {
  readonly identity: LinkIdentity;
  /** TLS exporter of the connection; zeros inside one process. */
  readonly exporter: Hex32;
  /** @default `handshakeLimits.timeoutMs` */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/**
 * The dialler's side. The pipe is left as it is when this throws: its owner destroys it.
 * @throws OrbError `link-refused` when either side refuses, `link-closed` when the connection ends or time is up
 */
export async function dialHandshake(pipe: MessagePipe, peerKey: Hex32, options: HandshakeOptions): Promise<LinkPeer> {
  const { identity, exporter } = options;
  const reader = new HandshakeReader(pipe, options);
  try {
    const dialler = makeHello(identity);
    pipe.send(JSON.stringify(dialler));
    const { signature, ...listener } = parseWith(linkAcceptSchema, await reader.next(), 'link accept', 'link-refused');
    if (listener.key !== peerKey) throw refused(`The other side has the key ${listener.key}, not ${peerKey}.`);
    checkHello(listener, identity);
    checkTranscript('accept', { dialler, listener, exporter }, signature);
    pipe.send(JSON.stringify({ signature: signTranscript('confirm', { dialler, listener, exporter }, identity.signer) }));
    return { role: listener.role, key: listener.key, address: pipe.address };
  } finally {
    reader.release();
  }
}

/**
 * The listener's side: whoever comes, proven. Tells the other side why when it refuses.
 * @throws OrbError as {@link dialHandshake}
 */
export async function listenHandshake(pipe: MessagePipe, options: HandshakeOptions): Promise<LinkPeer> {
  const { identity, exporter } = options;
  const reader = new HandshakeReader(pipe, options);
  try {
    const dialler = parseWith(linkHelloSchema, await reader.next(), 'link hello', 'link-refused');
    checkHello(dialler, identity);
    const listener = makeHello(identity);
    const signature = signTranscript('accept', { dialler, listener, exporter }, identity.signer);
    pipe.send(JSON.stringify({ ...listener, signature }));
    const confirm = parseWith(linkConfirmSchema, await reader.next(), 'link confirm', 'link-refused');
    checkTranscript('confirm', { dialler, listener, exporter }, confirm.signature);
    return { role: dialler.role, key: dialler.key, address: pipe.address };
  } catch (error) {
    refuse(pipe, asOrbError(error));
    throw error;
  } finally {
    reader.release();
  }
}

/** Sends a refusal with its reason, and closes. */
export function refuse(pipe: MessagePipe, reason: OrbError): void {
  pipe.send(encodeFrame(frameTypes.close, 0, 0, Buffer.from(errorJson(reason))));
  pipe.close();
}

function makeHello({ chain, role, signer }: LinkIdentity): LinkHello {
  return { v: 1, chain, role, key: signer.publicKey, nonce: toHex(randomBytes(32)) };
}

function checkHello(hello: LinkHello, identity: LinkIdentity): void {
  if (hello.chain !== identity.chain) throw refused('The other side belongs to another network.');
  if (hello.key === identity.signer.publicKey) throw refused('The other side has the same key as this one.');
}

function refused(message: string): OrbError {
  return new OrbError('link-refused', { message });
}

/** Takes the texts of a handshake one at a time, within time and size; what comes after it stays in the pipe. */
class HandshakeReader implements MessageReceiver {
  readonly #pipe: MessagePipe;
  readonly #signal: AbortSignal | undefined;
  readonly #timer: NodeJS.Timeout;
  readonly #abort = () => this.#fail(new OrbError('cancelled', { message: 'Linking was cancelled.' }));
  #waiting: Deferred<unknown> | undefined;
  #error: OrbError | undefined;

  constructor(pipe: MessagePipe, { signal, timeoutMs = handshakeLimits.timeoutMs }: HandshakeOptions) {
    this.#pipe = pipe;
    this.#signal = signal;
    this.#timer = setTimeout(() => this.#fail(late()), timeoutMs);
    signal?.addEventListener('abort', this.#abort, { once: true });
    if (signal?.aborted === true) this.#abort();
  }

  /** @throws OrbError `link-refused` when the other side refuses or sends something else, `link-closed`, `cancelled` */
  async next(): Promise<unknown> {
    if (this.#error !== undefined) throw this.#error;
    this.#waiting = deferred();
    const { promise } = this.#waiting;
    this.#pipe.receive(this);
    return parseHandshake((await promise) as string | Buffer);
  }

  release(): void {
    clearTimeout(this.#timer);
    this.#signal?.removeEventListener('abort', this.#abort);
    this.#pipe.hold();
  }

  message(message: string | Buffer): void {
    this.#pipe.hold();
    this.#waiting?.resolve(message);
  }

  drain(): void {
    // Three short messages never fill a pipe.
  }

  gone(): void {
    this.#fail(new OrbError('link-closed', { message: 'The connection was closed during the handshake.' }));
  }

  #fail(error: OrbError): void {
    this.#error ??= error;
    this.#waiting?.reject(error);
  }
}

function late(): OrbError {
  return new OrbError('link-closed', { message: 'The other side did not finish the handshake in time.' });
}

/** A text is the next step; a CLOSE frame instead of it is the other side's refusal. */
function parseHandshake(message: string | Buffer): unknown {
  if (message.length > handshakeLimits.messageChars) throw refused('The other side sent too much during the handshake.');
  let refusal;
  try {
    if (typeof message === 'string') return JSON.parse(message);
    refusal = readRefusal(message);
  } catch {
    throw refused('The other side sent something that is no handshake.');
  }
  throw refusal;
}

function readRefusal(message: Buffer): OrbError {
  let reason: OrbError | undefined;
  readFrames(message, (type, _flags, _id, bytes, start, end) => {
    if (type === frameTypes.close && end > start) reason ??= errorFromBody(parseJson(bytes, start, end));
  });
  return reason?.code === 'link-refused'
    ? reason
    : new OrbError('link-refused', { ...(reason && { message: reason.message, cause: reason }) });
}
