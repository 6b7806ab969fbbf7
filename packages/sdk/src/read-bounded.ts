import { OrbError, concatBytes } from '@orb/protocol';

/**
 * The whole body, or an error as soon as it proves larger than `limit` bytes; the rest is not read. The length that
 * the server claims is never used to reserve memory.
 * @throws OrbError `too-large`
 */
export async function readBytes(response: Response, limit: number): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array[] = [];
  let total = 0;
  for await (const part of piecesOf(response)) {
    total += part.byteLength;
    if (total > limit) throw tooLarge(limit);
    parts.push(part);
  }
  return concatBytes(parts) as Uint8Array<ArrayBuffer>;
}

/**
 * The body as JSON, of at most `limit` bytes.
 * @throws OrbError `too-large`; `protocol-violation` when it is not JSON
 */
export async function readJson(response: Response, limit: number): Promise<unknown> {
  return parseJson(new TextDecoder().decode(await readBytes(response, limit)));
}

/**
 * The lines of an NDJSON body, parsed, as they arrive. Empty lines are skipped.
 * @param lineLimit the most characters that one line may have
 * @throws OrbError `too-large`; `protocol-violation` when a line is not JSON
 */
export async function* readLines(response: Response, lineLimit: number): AsyncGenerator<unknown, void, undefined> {
  const decoder = new TextDecoder();
  // The line under way, in pieces: joining it anew with each piece would cost the square of its length.
  let pieces: string[] = [];
  let length = 0;
  for await (const part of piecesOf(response)) {
    const ended = decoder.decode(part, { stream: true }).split('\n');
    for (const [i, text] of ended.entries()) {
      length += text.length;
      if (length > lineLimit) throw tooLarge(lineLimit);
      pieces.push(text);
      if (i === ended.length - 1) break;
      const line = pieces.join('');
      pieces = [];
      length = 0;
      if (line.trim() !== '') yield parseJson(line);
    }
  }
  const last = pieces.join('');
  if (last.trim() !== '') yield parseJson(last);
}

/** The body as it arrives; leaving early tells the server to stop sending. */
export async function* piecesOf(response: Response): AsyncGenerator<Uint8Array, void, undefined> {
  if (!response.body) return;
  const reader = response.body.getReader();
  let ended = false;
  try {
    for (;;) {
      const { done, value } = (await reader.read()) as { done: boolean; value: Uint8Array };
      if (done) {
        ended = true;
        return;
      }
      yield value;
    }
  } finally {
    // Whoever stops early also tells the server to stop sending.
    if (!ended) await reader.cancel().catch(() => undefined);
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new OrbError('protocol-violation', {
      message: 'The answer is not JSON.',
      hint: 'Check that the address is that of an Orb super node.',
      cause,
    });
  }
}

function tooLarge(limit: number): OrbError {
  return new OrbError('too-large', {
    message: `The answer is larger than ${limit} bytes; the rest was not read.`,
    hint: 'Ask for less at a time.',
  });
}
