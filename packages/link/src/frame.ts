import { OrbError } from '@orb/protocol';
import { linkLimits } from './link-limits.ts';

/*
 * A frame: type u8, flags u8, call id u32, payload length u32 (big-endian), payload. A WebSocket message (binary) is
 * one or more whole frames. Ids of calls are odd for the side that dialled and even for the side that listened, so
 * call id and direction say together what a frame is about; they go up by two and start over after 2³² − 1. Id 0
 * is the link itself.
 *
 * A call:    caller    CALL, then DATA …, ended by the flag `fin` or by END; or CANCEL instead at any time
 *            answerer  ANSWER, then DATA …, ended by `fin` or by END with a trailer; or ERROR instead at any time
 *            either    CREDIT and DISCARD for the body that it receives
 * The answerer ends every call exactly once, also a cancelled one. The caller ends its body, or cancels, also after
 * the answer has ended. So each side knows when an id is free again, and a frame for an id that was never used, or an
 * answer to nobody, is a broken protocol and not an accident.
 */
export const frameTypes = {
  /** Method (length u8, ASCII), JSON header. `fin`: no body. */
  call: 1,
  /** A piece of a body, 1 to 16,384 bytes; empty only with `fin`. `fin`: the last one, and no trailer follows. */
  data: 2,
  /** End of a body; from the answerer with a JSON trailer, or empty. */
  end: 3,
  /** JSON header. `fin`: neither body nor trailer. */
  answer: 4,
  /** JSON ErrorBody: the call failed, before or after its answer began. */
  error: 5,
  /** Empty: the caller wants no answer any more. */
  cancel: 6,
  /** Bytes u32 that the receiver of a body (call id) or of all bodies (id 0) can take beyond what it said before. */
  credit: 7,
  /** Empty: nobody reads the body; its sender stops and ends it. */
  discard: 8,
  /** Method and JSON, as CALL; no answer. */
  notice: 9,
  /** 8 bytes that nobody can guess. */
  ping: 10,
  /** The 8 bytes of the ping. */
  pong: 11,
  /** First frame of the listener: JSON settings, `{}` in version 1; the receiver ignores members it does not know. */
  welcome: 12,
  /** JSON ErrorBody, or empty: the last frame of a side; during the handshake, a refusal. */
  close: 13,
  /**
   * Reserved for a second socket of the same link. The listener's WELCOME gives a token `bulk`; a socket that has made
   * the same handshake with the same keys sends ATTACH with it as its first frame. A body that has outrun its first
   * credit may then move: a DATA frame with the flag `bulk` is its last piece on this socket, the rest is on the other.
   */
  attach: 14,
} as const;

export type FrameType = (typeof frameTypes)[keyof typeof frameTypes];

/** Flags of a frame; each type allows some, every other bit is zero. */
export const frameFlags = {
  fin: 1,
  /** Reserved, see `attach`. */
  bulk: 2,
} as const;

/** Bytes before a frame's payload. */
export const frameHeadBytes = 10;

interface FrameRule {
  readonly name: string;
  readonly flags: number;
  /** What the call id must be. */
  readonly about: 'link' | 'call' | 'either';
  readonly min: number;
  readonly max: number;
}

const { headerBytes, methodChars, pieceBytes } = linkLimits;

function rule(name: string, about: FrameRule['about'], min: number, max: number, flags = 0): FrameRule {
  return { name, flags, about, min, max };
}

/** By type; a type without a rule is not allowed on the wire. */
const frameRules: readonly (FrameRule | undefined)[] = [
  undefined,
  rule('CALL', 'call', 2, 1 + methodChars + headerBytes, frameFlags.fin),
  rule('DATA', 'call', 0, pieceBytes, frameFlags.fin),
  rule('END', 'call', 0, headerBytes),
  rule('ANSWER', 'call', 1, headerBytes, frameFlags.fin),
  rule('ERROR', 'call', 2, headerBytes),
  rule('CANCEL', 'call', 0, 0),
  rule('CREDIT', 'either', 4, 4),
  rule('DISCARD', 'call', 0, 0),
  rule('NOTICE', 'link', 2, 1 + methodChars + headerBytes),
  rule('PING', 'link', 8, 8),
  rule('PONG', 'link', 8, 8),
  rule('WELCOME', 'link', 2, headerBytes),
  rule('CLOSE', 'link', 0, headerBytes),
];

/** One frame as it is read: its payload is `message` from `start` to `end`. */
export type FrameVisitor = (type: FrameType, flags: number, id: number, message: Buffer, start: number, end: number) => void;

/**
 * Visits each frame of a message, in order.
 * @throws OrbError `protocol-violation` naming what is wrong, at the first frame that is not well formed
 */
export function readFrames(message: Buffer, visit: FrameVisitor): void {
  let at = 0;
  if (message.length === 0) throw violation('an empty message');
  while (at < message.length) {
    if (message.length - at < frameHeadBytes) throw violation('a frame is cut off in its head');
    const type = message[at]!;
    const flags = message[at + 1]!;
    const id = readU32(message, at + 2);
    const length = readU32(message, at + 6);
    const start = at + frameHeadBytes;
    checkHead(type, flags, id, length);
    at = start + length;
    if (at > message.length) throw violation(`a ${frameRules[type]!.name} frame is cut off`);
    visit(type as FrameType, flags, id, message, start, at);
  }
}

function checkHead(type: number, flags: number, id: number, length: number): void {
  const expected = frameRules[type];
  if (expected === undefined) throw violation(`there is no frame type ${type}`);
  if ((flags & ~expected.flags) !== 0) throw violation(`reserved flags ${flags} on a ${expected.name} frame`);
  if (length < expected.min || length > expected.max) throw violation(`a ${expected.name} frame of ${length} bytes`);
  if (expected.about !== 'either' && (id === 0) !== (expected.about === 'link'))
    throw violation(`a ${expected.name} frame with call id ${id}`);
}

/** Big-endian; without the bounds checks of Buffer's own method, which cost a third of the reading of a frame. */
export function readU32(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}

/** Writes a frame's head. */
export function writeFrameHead(target: Buffer, at: number, type: FrameType, flags: number, id: number, length: number): void {
  target[at] = type;
  target[at + 1] = flags;
  target[at + 2] = id >>> 24;
  target[at + 3] = id >>> 16;
  target[at + 4] = id >>> 8;
  target[at + 5] = id;
  target[at + 6] = length >>> 24;
  target[at + 7] = length >>> 16;
  target[at + 8] = length >>> 8;
  target[at + 9] = length;
}

/** One frame as bytes, with no check: for tests, vectors and whatever is sent once. */
export function encodeFrame(type: number, flags: number, id: number, payload: Uint8Array = new Uint8Array(0)): Buffer {
  const frame = Buffer.alloc(frameHeadBytes + payload.length);
  writeFrameHead(frame, 0, type as FrameType, flags, id, payload.length);
  frame.set(payload, frameHeadBytes);
  return frame;
}

/** Payload of CALL and NOTICE. */
export function encodeMethod(method: string, json: string): Buffer {
  return Buffer.concat([Buffer.from([method.length]), Buffer.from(method, 'latin1'), Buffer.from(json)]);
}

/** The other side sent what no honest side sends. */
export function violation(what: string): OrbError {
  return new OrbError('protocol-violation', { message: `The other side broke the link protocol: ${what}.` });
}

/** JSON of a payload. @throws OrbError `protocol-violation` when it is not JSON */
export function parseJson(message: Buffer, start: number, end: number): unknown {
  try {
    return JSON.parse(message.toString('utf8', start, end));
  } catch {
    throw violation('a header that is not JSON');
  }
}

/** What the method of a call or notice looks like. */
const methodPattern = /^[a-z0-9][a-z0-9./-]{0,63}$/;

/** Whether a method may be sent: 1 to 64 of a–z, 0–9, `.`, `-` and `/`, starting with a letter or digit. */
export function isMethod(method: string): boolean {
  return methodPattern.test(method);
}

/** Where the JSON of a CALL or NOTICE starts. @throws OrbError `protocol-violation` */
export function methodEnd(message: Buffer, start: number, end: number): number {
  const jsonStart = start + 1 + message[start]!;
  if (jsonStart >= end) throw violation('a method that is longer than its frame');
  return jsonStart;
}

/** The method of a CALL or NOTICE. @throws OrbError `protocol-violation` */
export function readMethod(message: Buffer, start: number, jsonStart: number): string {
  const method = message.toString('latin1', start + 1, jsonStart);
  if (!methodPattern.test(method)) throw violation('a method name that is not one');
  return method;
}
