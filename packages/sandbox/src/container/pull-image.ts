import type Docker from 'dockerode';
import { OrbError } from '@orb/protocol';
import type { PullProgress, RegistryLogin } from './container-options.ts';
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
  const received = new Map<string, number>();
  try {
    const options = { fromImage: name, tag: digest, abortSignal: pull.signal };
    const stream = await dependencies.docker.createImage(auth ?? {}, options);
    const destroy = () => (stream as unknown as { destroy(): void }).destroy();
    pull.signal.addEventListener('abort', destroy, { once: true });
    for await (const line of linesOf(stream)) report(line, received, pull);
    pull.signal.throwIfAborted();
  } catch (cause) {
    if (pull.signal.aborted) throw pull.signal.reason;
    const { message, json } = cause as { message: string; json?: { message?: string } };
    throw new OrbError('load-failed', { message: `The image ${name} cannot be fetched: ${String(json?.message ?? message).slice(0, 500)}`, cause });
  }
}

/** @throws Error with the engine's words when the line tells of a failure */
function report(line: string, received: Map<string, number>, { reference, totalBytes, onProgress }: Pull): void {
  if (line.trim() === '') return;
  const { error, status, id, progressDetail } = JSON.parse(line) as { error?: string; status?: string; id?: string; progressDetail?: { current?: number } };
  if (error !== undefined) throw new Error(error);
  if (status !== 'Downloading' || id === undefined || typeof progressDetail?.current !== 'number') return;
  received.set(id, progressDetail.current);
  let receivedBytes = 0;
  for (const bytes of received.values()) receivedBytes += bytes;
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
