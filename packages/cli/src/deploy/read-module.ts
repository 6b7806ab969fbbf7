import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { OrbError, limits, sha256 } from '@orb/protocol';
import { compileWasm } from '@orb/sandbox';
import { formatBytes } from '../terminal/format.ts';
import type { CodeForDeploy } from './read-code.ts';

/** As every binary module begins: `\0asm` and version 1. A component has another version. */
const moduleStart = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];

/**
 * Reads a WebAssembly module, and finds out here what a node would refuse.
 * @param handler the export that answers; `_start`, else `handle`, when left out
 * @throws OrbError `bad-source`, `too-large`
 */
export async function readModule(file: string, handler = 'auto'): Promise<CodeForDeploy> {
  const path = resolve(file);
  const code = new Uint8Array(
    await readFile(path).catch((cause: unknown) => {
      throw new OrbError('bad-source', { message: `There is no file ${file}.`, hint: 'Give the path of a .wasm file.', cause });
    }),
  );
  if (code.byteLength > limits.codeBytes) {
    throw new OrbError('too-large', {
      message: `${file} has ${formatBytes(code.byteLength)}; the limit is ${formatBytes(limits.codeBytes)}.`,
      hint: 'Build it for release, and strip it: wasm-opt -Oz --strip-debug.',
    });
  }
  const { command, entry } = await shapeOf(code, file, handler);
  return {
    code,
    sha256: sha256(code),
    inputs: [path],
    warnings: [],
    manifest: { kind: 'wasm', runtime: 'wasi-1', handler, concurrency: 1 },
    summary: `${file}: ${formatBytes(code.byteLength)}, ${command ? 'a WASI command' : `a reactor that answers by ${entry}`}`,
  };
}

async function shapeOf(code: Uint8Array, file: string, handler: string): ReturnType<typeof compileWasm> {
  if (moduleStart.some((byte, i) => code[i] !== byte)) {
    const component = moduleStart.slice(0, 4).every((byte, i) => code[i] === byte);
    throw new OrbError('bad-source', {
      message: component ? `${file} is a component, not a module of WebAssembly 1.` : `${file} is not WebAssembly.`,
      hint: 'Build a core module for WASI preview 1: wasm32-wasip1 for Rust, GOOS=wasip1 GOARCH=wasm for Go.',
    });
  }
  try {
    return await compileWasm(code, handler);
  } catch (cause) {
    throw new OrbError('bad-source', {
      message: `${file} cannot be a function. ${(cause as Error).message}`,
      hint: 'docs/reference/wasm.md says what a module imports and exports.',
      cause,
    });
  }
}
