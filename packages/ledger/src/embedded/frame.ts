import { crc32 } from 'node:zlib';
import { OrbError, type Block } from '@orb/protocol';
import type { BlockDelta } from '../delta.ts';
import type { NewBlock } from '../keeping.ts';

/*
 * One block in the log:
 *
 *   0   4  magic, "ORB1"
 *   4   4  bytes of the block's text
 *   8   4  bytes of the delta's text
 *   12  4  height
 *   16  4  CRC-32 of both texts
 *   20  4  CRC-32 of bytes 0 to 19
 *   24     the block, canonical JSON; then what it did (`BlockDelta`), JSON
 *
 * All numbers are little-endian. The header has a checksum of its own, so that damage to a length is never taken for a
 * frame that a crash cut short. Checksums find accidents; the signed hash chain inside finds everything else.
 */
const magic = 0x3142524f;

export const frameHeaderBytes = 24;

/** No block of ours is larger: those of `orderer.ts`, and what it did. */
const frameBytesMax = 256 * 1024 * 1024;

export interface FrameHeader {
  readonly blockBytes: number;
  readonly deltaBytes: number;
  readonly height: number;
  readonly crc: number;
}

/** A frame of the log: its header and body. */
export interface Frame extends FrameHeader {
  /** Where it starts in the file. */
  readonly offset: number;
  readonly body: Buffer;
}

/** @param room gives a buffer of at least so many bytes: the frame is written into it */
export function encodeFrame({ block, text, delta }: NewBlock, room: (bytes: number) => Buffer): Buffer {
  const deltaText = JSON.stringify(delta);
  const blockBytes = Buffer.byteLength(text);
  const deltaBytes = Buffer.byteLength(deltaText);
  const frame = room(frameHeaderBytes + blockBytes + deltaBytes).subarray(0, frameHeaderBytes + blockBytes + deltaBytes);
  frame.write(text, frameHeaderBytes);
  frame.write(deltaText, frameHeaderBytes + blockBytes);
  frame.writeUInt32LE(magic, 0);
  frame.writeUInt32LE(blockBytes, 4);
  frame.writeUInt32LE(deltaBytes, 8);
  frame.writeUInt32LE(block.header.height, 12);
  frame.writeUInt32LE(crc32(frame.subarray(frameHeaderBytes)), 16);
  frame.writeUInt32LE(crc32(frame.subarray(0, 20)), 20);
  return frame;
}

/** The header at the start of some bytes; undefined when it is damaged. */
export function decodeFrameHeader(bytes: Buffer): FrameHeader | undefined {
  if (bytes.readUInt32LE(0) !== magic || crc32(bytes.subarray(0, 20)) !== bytes.readUInt32LE(20)) return undefined;
  const header = {
    blockBytes: bytes.readUInt32LE(4),
    deltaBytes: bytes.readUInt32LE(8),
    height: bytes.readUInt32LE(12),
    crc: bytes.readUInt32LE(16),
  };
  return header.blockBytes + header.deltaBytes <= frameBytesMax ? header : undefined;
}

export function frameBytes({ blockBytes, deltaBytes }: FrameHeader): number {
  return frameHeaderBytes + blockBytes + deltaBytes;
}

export function isBodyWhole(body: Buffer, { crc }: FrameHeader): boolean {
  return crc32(body) === crc;
}

export function frameText({ body, blockBytes }: Frame): string {
  return body.toString('utf8', 0, blockBytes);
}

export function frameBlock(frame: Frame): Block {
  return parse(frame, frameText(frame));
}

export function frameDelta({ body, blockBytes, ...frame }: Frame): BlockDelta {
  return parse(frame, body.toString('utf8', blockBytes));
}

/** Header and signature of a frame's block, without reading its transactions. */
export function frameHead({ body, blockBytes, ...frame }: Frame): Pick<Block, 'header' | 'signature'> {
  // The header's own member of that name is a string: only the block's is a list.
  const end = body.indexOf(',"transactions":[');
  if (end === -1 || end >= blockBytes) throw corruptAt(frame, 'it is not a block');
  return parse(frame, `${body.toString('utf8', 0, end)}}`);
}

/** @param what completes the sentence "Block 7 at byte 1234 of the log is damaged: …" */
export function corruptAt({ height, offset }: { readonly height: number; readonly offset: number }, what: string): OrbError {
  return new OrbError('ledger-corrupt', {
    message: `Block ${height} at byte ${offset} of the log is damaged: ${what}.`,
    details: { height, offset },
  });
}

function parse<T>(frame: { readonly height: number; readonly offset: number }, text: string): T {
  try {
    return JSON.parse(text) as T;
  } catch {
    throw corruptAt(frame, 'it is not JSON');
  }
}
