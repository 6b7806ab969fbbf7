import { crc32 } from 'node:zlib';

/**
 * What a line of the receipt journal holds: `h` head of a segment, `r` one receipt, `b` a signed batch, `t` a ticket
 * root of the super node, `s` settled up to, `e` clean end.
 */
export type LineKind = 'h' | 'r' | 'b' | 't' | 's' | 'e';

export interface JournalLine {
  readonly kind: LineKind;
  /** JSON, as it was written. */
  readonly text: string;
  /** Offset of the line's first byte in its segment, and of the first byte after it. */
  readonly from: number;
  readonly to: number;
}

const kinds = new Set<string>(['h', 'r', 'b', 't', 's', 'e']);
const prefixChars = 'k 00000000 '.length;

/** One line: kind, CRC-32 of the text in hex, the text. The text is ASCII, so its length is its bytes. */
export function encodeLine(kind: LineKind, text: string): string {
  return `${kind} ${hex8(crc32(text))} ${text}\n`;
}

/** A whole number below 2³² as eight digits; in halves, because V8 writes only small integers quickly in any base but ten. */
function hex8(value: number): string {
  return hex4(value >>> 16) + hex4(value & 0xffff);
}

function hex4(value: number): string {
  return (value + 0x1_0000).toString(16).slice(1);
}

/**
 * Reads a segment. A line that does not fit its checksum is left out and counted: the torn tail of a crash, or damage.
 */
export function decodeLines(segment: string): { lines: JournalLine[]; damaged: number } {
  const lines: JournalLine[] = [];
  let damaged = 0;
  let from = 0;
  while (from < segment.length) {
    const newline = segment.indexOf('\n', from);
    const end = newline === -1 ? segment.length : newline;
    const kind = segment[from]!;
    const text = segment.slice(from + prefixChars, end);
    const sound = newline !== -1 && kinds.has(kind) && crc32(text) === Number.parseInt(segment.slice(from + 2, from + 10), 16);
    if (sound) lines.push({ kind: kind as LineKind, text, from, to: end + 1 });
    else damaged++;
    from = end + 1;
  }
  return { lines, damaged };
}
