import { open, type FileHandle } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { OrbError, limits } from '@orb/protocol';

/** Where a call's body comes from: words on the command line, a file, or standard input. */
export interface InputFlags {
  readonly data?: string;
  readonly file?: string;
}

/** @param word `-` reads standard input. @throws OrbError `invalid-request`, `too-large` */
export async function readInput(flags: InputFlags, word: string | undefined, stdin: Readable): Promise<Uint8Array | undefined> {
  checkOnce(flags, word);
  if (flags.data !== undefined) return bounded(new TextEncoder().encode(flags.data));
  if (flags.file !== undefined && flags.file !== '-') return readFileInput(flags.file);
  if (word === '-' || flags.file === '-') return readStream(stdin);
  if (word !== undefined) return bounded(new TextEncoder().encode(word));
  return undefined;
}

/** A file or standard input as it comes, of any size; undefined for words on the command line. @throws OrbError `invalid-request` */
export async function streamInput(
  flags: InputFlags,
  word: string | undefined,
  stdin: Readable,
): Promise<AsyncIterable<Uint8Array> | undefined> {
  checkOnce(flags, word);
  if (word === '-' || flags.file === '-') return stdin;
  if (flags.file === undefined) return undefined;
  return (await openFile(flags.file)).createReadStream();
}

function checkOnce(flags: InputFlags, word: string | undefined): void {
  const given = [flags.data, flags.file, word].filter((source) => source !== undefined);
  if (given.length > 1) throw new OrbError('invalid-request', { message: 'Give the input once: --data, --file or -.' });
}

async function openFile(path: string): Promise<FileHandle> {
  const file = await open(path).catch((cause: NodeJS.ErrnoException) => {
    throw new OrbError('invalid-request', { message: `${path} cannot be read (${cause.code}).`, cause });
  });
  if (!(await file.stat()).isDirectory()) return file;
  await file.close();
  throw new OrbError('invalid-request', { message: `${path} is a folder.` });
}

async function readFileInput(path: string): Promise<Uint8Array> {
  const file = await openFile(path);
  try {
    return await readStream(file.createReadStream({ autoClose: false }));
  } finally {
    await file.close();
  }
}

async function readStream(stream: AsyncIterable<Uint8Array | string>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let total = 0;
  for await (const part of stream) {
    const bytes = typeof part === 'string' ? new TextEncoder().encode(part) : part;
    total += bytes.byteLength;
    if (total > limits.bodyBytes) throw tooLarge();
    parts.push(bytes);
  }
  return Buffer.concat(parts);
}

function bounded(bytes: Uint8Array): Uint8Array {
  if (bytes.byteLength > limits.bodyBytes) throw tooLarge();
  return bytes;
}

function tooLarge(): OrbError {
  return new OrbError('too-large', { message: `The input has more than ${limits.bodyBytes} bytes, the limit of a call.` });
}
