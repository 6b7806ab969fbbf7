// Frames on their way to the host: gathered while the function works, written once per turn.
import { bytesSet, bytesSubarray, encode, encodeInto, microtask } from './primordials.js';
import { headerBytes, writeU32 } from './wire.js';

const scratchBytes = 131_072;
/** Above this, encoding straight into the scratch buffer could overrun it: three bytes for each UTF-16 unit. */
const directChars = 32_768;

/**
 * @param {(bytes: Uint8Array) => void} write takes all bytes before it returns, and keeps none
 */
export function createOutput(write) {
  const scratch = new Uint8Array(scratchBytes);
  let used = 0;
  let scheduled = false;

  function flush() {
    scheduled = false;
    if (used === 0) return;
    const bytes = bytesSubarray(scratch, 0, used);
    used = 0;
    write(bytes);
  }

  function schedule() {
    if (scheduled) return;
    scheduled = true;
    microtask(flush);
  }

  /**
   * Queues one frame: `prefix` then `body`.
   * @param {number} type @param {number} job
   * @param {Uint8Array | undefined} prefix
   * @param {Uint8Array | string | undefined} body
   */
  function frame(type, job, prefix, body) {
    const content = typeof body === 'string' && body.length > directChars ? encode(body) : body;
    const prefixBytes = prefix === undefined ? 0 : prefix.length;
    const most =
      headerBytes + prefixBytes + (content === undefined ? 0 : typeof content === 'string' ? content.length * 3 : content.length);
    if (used + most > scratchBytes) flush();
    const large = most > scratchBytes;
    const target = large ? new Uint8Array(most) : scratch;
    const start = large ? 0 : used;
    let at = start + headerBytes;
    if (prefix !== undefined) {
      bytesSet(target, prefix, at);
      at += prefixBytes;
    }
    if (typeof content === 'string') at += encodeInto(content, bytesSubarray(target, at)).written;
    else if (content !== undefined) {
      bytesSet(target, content, at);
      at += content.length;
    }
    writeU32(target, start, at - start - 4);
    target[start + 4] = type;
    writeU32(target, start + 5, job);
    if (large) write(bytesSubarray(target, 0, at));
    else {
      used = at;
      schedule();
    }
  }

  return { frame, flush };
}
