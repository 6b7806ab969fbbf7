import type Docker from 'dockerode';
import { OrbError } from '@orb/protocol';
import type { PullProgress } from '../port.ts';
import type { RegistryLogin } from './container-options.ts';
import type { ImageReference } from './image-reference.ts';

/** A line of the engine about its progress is a few hundred bytes. */
const maxLineBytes = 65_536;

export interface Pull {
  readonly reference: ImageReference;
  readonly totalBytes: number;
  readonly login: RegistryLogin | undefined;
  readonly signal: AbortSignal;
  onProgress(progress: PullProgress): void;
}

/** Has the engine fetch an image by digest. @throws OrbError `load-failed` with the registry's words, or the signal's reason */
export async function pullImage(pull: Pull, dependencies: { readonly docker: Docker }): Promise<void> {
  const { name, digest, registry } = pull.reference;
  const auth = pull.login && { ...pull.login, serveraddress: registry };
  const layers = new Map<string, Layer>();
  try {
    const options = { fromImage: name, tag: digest, abortSignal: pull.signal };
    const stream = await dependencies.docker.createImage(auth ?? {}, options);
    const destroy = () => (stream as unknown as { destroy(): void }).destroy();
    pull.signal.addEventListener('abort', destroy, { once: true });
    for await (const line of linesOf(stream)) report(line, layers, pull);
    pull.signal.throwIfAborted();
  } catch (cause) {
    if (pull.signal.aborted) throw pull.signal.reason;
    const { message, json } = cause as { message: string; json?: { message?: string } };
    throw new OrbError('load-failed', {
      message: `The image ${name} cannot be fetched: ${String(json?.message ?? message).slice(0, 500)}`,
      cause,
    });
  }
}

/** How far one layer is, compressed bytes. */
interface Layer {
  received: number;
  total: number;
}

interface Line {
  readonly error?: string;
  readonly status?: string;
  readonly id?: string;
  readonly progressDetail?: { readonly current?: number; readonly total?: number };
}

/** @throws Error with the engine's words when the line tells of a failure */
function report(line: string, layers: Map<string, Layer>, { reference, totalBytes, onProgress }: Pull): void {
  if (line.trim() === '') return;
  const { error, status, id, progressDetail: detail } = JSON.parse(line) as Line;
  if (error !== undefined) throw new Error(error);
  if (id === undefined || (status !== 'Downloading' && status !== 'Download complete')) return;
  const layer = layers.get(id) ?? { received: 0, total: 0 };
  layers.set(id, layer);
  layer.total = detail?.total ?? layer.total;
  // The last figure of a small layer may be its first: the engine only says when it is complete.
  layer.received = status === 'Downloading' ? (detail?.current ?? layer.received) : layer.total;
  let receivedBytes = 0;
  for (const { received } of layers.values()) receivedBytes += received;
  onProgress({ image: `${reference.name}@${reference.digest}`, receivedBytes, totalBytes });
}

async function* linesOf(stream: NodeJS.ReadableStream): AsyncGenerator<string, void, undefined> {
  let rest = '';
  for await (const piece of stream) {
    rest += String(piece);
    const lines = rest.split('\n');
    rest = lines.pop()!;
    if (rest.length > maxLineBytes) throw new Error('the engine sent an endless line');
    yield* lines;
  }
  yield rest;
}
