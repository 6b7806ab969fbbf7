import { OrbError } from '@orb/protocol';

/**
 * The lines of an NDJSON body, parsed, as they arrive. Empty lines only show that the other side lives. A last line
 * without its end was cut off on the way and is left out.
 * @param options.lineBytes the most characters of one line
 * @param options.alive called with every piece that arrives
 * @throws OrbError `too-large`; `protocol-violation` when a line is not JSON
 */
export async function* jsonLines(
  response: Response,
  { lineBytes, alive }: { readonly lineBytes: number; readonly alive?: () => void },
): AsyncGenerator<unknown, void, undefined> {
  const decoder = new TextDecoder();
  // The line under way, in pieces: joining it anew with each piece would cost the square of its length.
  let pieces: string[] = [];
  let length = 0;
  for await (const part of response.body ?? []) {
    alive?.();
    const texts = decoder.decode(part as Uint8Array, { stream: true }).split('\n');
    for (const [i, text] of texts.entries()) {
      length += text.length;
      if (length > lineBytes) throw new OrbError('too-large', { message: `A line of the answer is longer than ${lineBytes} bytes.` });
      pieces.push(text);
      if (i === texts.length - 1) break;
      const line = pieces.join('');
      pieces = [];
      length = 0;
      if (line.trim() !== '') yield parse(line);
    }
  }
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch (cause) {
    throw new OrbError('protocol-violation', { message: 'A line of the answer is not JSON.', cause });
  }
}
