import { open, type FileHandle } from 'node:fs/promises';
import { corruptAt, decodeFrameHeader, frameBytes, frameHeaderBytes, isBodyWhole, type Frame } from './frame.ts';

/** How a scan of the log ended. */
export interface LogEnd {
  /** Where the next frame belongs. */
  readonly offset: number;
  /** Bytes behind it that a crash left of an unfinished frame. */
  readonly torn: number;
}

/** How much is read at once while scanning. */
const chunkBytes = 1024 * 1024;

/** The append-only file of blocks: the truth of an embedded ledger. */
export class BlockLog {
  readonly #file: FileHandle;
  #size: number;
  #broken = false;

  private constructor(file: FileHandle, size: number) {
    this.#file = file;
    this.#size = size;
  }

  /** @param mode `r` reads only, beside whoever writes; `a` makes the file when there is none */
  static async open(path: string, mode: 'r' | 'a'): Promise<BlockLog> {
    if (mode === 'a') await (await open(path, 'a')).close();
    const file = await open(path, mode === 'r' ? 'r' : 'r+');
    return new BlockLog(file, (await file.stat()).size);
  }

  get size(): number {
    return this.#size;
  }

  /** Writes a frame behind the last one; resolves with its place once it is on the disk. After a failure no more is written. */
  async append(frame: Buffer): Promise<number> {
    if (this.#broken) throw new Error('the log is closed for writing after a failed write');
    const offset = this.#size;
    try {
      let done = 0;
      while (done < frame.length) done += (await this.#file.write(frame, done, frame.length - done, offset + done)).bytesWritten;
      await this.#file.datasync();
    } catch (error) {
      // What the disk holds now is unknown (a failed flush may have dropped pages): only a new scan can tell.
      this.#broken = true;
      throw error;
    }
    this.#size = offset + frame.length;
    return offset;
  }

  /** The frame at an offset. @throws OrbError `ledger-corrupt` when it is damaged */
  async read(offset: number, height: number): Promise<Frame> {
    const head = Buffer.alloc(frameHeaderBytes);
    await this.#fill(head, offset);
    const header = decodeFrameHeader(head);
    if (!header) throw corruptAt({ height, offset }, 'its frame header is not whole');
    const body = Buffer.allocUnsafe(header.blockBytes + header.deltaBytes);
    await this.#fill(body, offset + frameHeaderBytes);
    if (!isBodyWhole(body, header)) throw corruptAt({ height, offset }, 'its checksum is wrong');
    return { ...header, offset, body };
  }

  /**
   * Every frame from an offset on.
   * @param height that the first one must have
   * @returns where the log ends; a last frame that a crash cut short is not part of it
   * @throws OrbError `ledger-corrupt` naming height and offset of the first damage that a crash cannot have left
   */
  async *scan(from: number, height: number): AsyncGenerator<Frame, LogEnd> {
    let offset = from;
    let next = height;
    let buffer: Buffer = Buffer.alloc(0);
    let bufferAt = from;
    const at = async (start: number, length: number): Promise<Buffer> => {
      const inside = start - bufferAt;
      if (inside + length <= buffer.length) return buffer.subarray(inside, inside + length);
      const wanted = Math.min(Math.max(length, chunkBytes), this.#size - start);
      buffer = Buffer.allocUnsafe(wanted);
      bufferAt = start;
      await this.#fill(buffer, start);
      return buffer.subarray(0, length);
    };
    while (offset < this.#size) {
      const rest = this.#size - offset;
      if (rest < frameHeaderBytes) return { offset, torn: rest };
      const header = decodeFrameHeader(await at(offset, frameHeaderBytes));
      if (!header) {
        if (await this.#isUnwritten(offset)) return { offset, torn: rest };
        throw corruptAt({ height: next, offset }, 'its frame header is not whole');
      }
      const length = frameBytes(header);
      if (length > rest) return { offset, torn: rest };
      const body = await at(offset + frameHeaderBytes, length - frameHeaderBytes);
      if (!isBodyWhole(body, header)) {
        if (length === rest && hasUnwrittenPart(body)) return { offset, torn: rest };
        throw corruptAt({ height: next, offset }, 'its checksum is wrong');
      }
      if (header.height !== next) throw corruptAt({ height: next, offset }, `it holds block ${header.height}`);
      yield { ...header, offset, body };
      offset += length;
      next++;
    }
    return { offset, torn: 0 };
  }

  /** Cuts off what a crash left behind the last whole frame. */
  async truncate(size: number): Promise<void> {
    await this.#file.truncate(size);
    await this.#file.datasync();
    this.#size = size;
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  async #fill(target: Buffer, offset: number): Promise<void> {
    let done = 0;
    while (done < target.length) {
      const { bytesRead } = await this.#file.read(target, done, target.length - done, offset + done);
      if (bytesRead === 0) throw new Error(`the log ends before byte ${offset + target.length}`);
      done += bytesRead;
    }
  }

  /** True when everything from here on is zero: space that the file system had set aside when the power went. */
  async #isUnwritten(from: number): Promise<boolean> {
    const buffer = Buffer.allocUnsafe(64 * 1024);
    for (let offset = from; offset < this.#size;) {
      const { bytesRead } = await this.#file.read(buffer, 0, buffer.length, offset);
      if (bytesRead === 0) return true;
      if (buffer.subarray(0, bytesRead).some((byte) => byte !== 0)) return false;
      offset += bytesRead;
    }
    return true;
  }
}

/** JSON holds no zero byte: a run of them is a part that never reached the disk, and no flipped bit. */
function hasUnwrittenPart(body: Buffer): boolean {
  return body.includes(Buffer.alloc(64));
}
