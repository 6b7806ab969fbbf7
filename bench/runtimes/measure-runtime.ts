import { utf8 } from '@orb/protocol';
import { Histogram } from '../measure/histogram.ts';
import type { OpenRuntime, WarmInstance } from './runtime.ts';

export interface RuntimeOptions {
  /** First calls of each kind. */
  readonly coldStarts: number;
  /** Length of each measurement of warm calls. */
  readonly warmMs: number;
  /** Bytes of a stream. */
  readonly streamBytes: number;
}

/** One round of one runtime. Undefined where there is nothing of the kind. */
export interface RuntimeRound {
  /** Start and first answer, medians, milliseconds. */
  readonly fromSpareMs: number | undefined;
  readonly fromNothingMs: number;
  /** Warm calls of 200 bytes, one at a time. */
  readonly warmP50Us: number | undefined;
  readonly warmP99Us: number | undefined;
  /** With 16 under way, or as many as an instance takes. */
  readonly callsPerSecond: number | undefined;
  /** Bytes a microsecond, which is MB/s, that the function makes, and that it reads. */
  readonly downloadMBs: number | undefined;
  readonly uploadMBs: number | undefined;
  /** Of its own: a while after warm calls, and the most while it streamed. */
  readonly restMiB: number | undefined;
  readonly streamingMiB: number | undefined;
  /** The most that this process, the host of the instance, had more while it streamed. */
  readonly hostMiB: number | undefined;
}

const inFlight = 16;
/** From the last call until memory at rest is looked at, milliseconds. */
const idleMs = 3_500;
const body = utf8(JSON.stringify({ text: 'x'.repeat(189) }));

/** @throws Error when an answer is wrong */
export async function measureRuntime(runtime: OpenRuntime, options: RuntimeOptions): Promise<RuntimeRound> {
  const fromSpareMs = runtime.rest === undefined ? undefined : await cold(runtime, 'spare', options.coldStarts);
  const fromNothingMs = await cold(runtime, 'nothing', options.coldStarts);
  const warm = await runtime.startWarm?.();
  try {
    return { ...none, fromSpareMs, fromNothingMs, ...(warm && (await measureWarm(warm, options))) };
  } finally {
    await warm?.stop();
  }
}

const none = {
  warmP50Us: undefined,
  warmP99Us: undefined,
  callsPerSecond: undefined,
  downloadMBs: undefined,
  uploadMBs: undefined,
  restMiB: undefined,
  streamingMiB: undefined,
  hostMiB: undefined,
};

async function cold(runtime: OpenRuntime, from: 'spare' | 'nothing', times: number): Promise<number> {
  const all = new Histogram();
  for (let count = 0; count < times; count++) {
    if (from === 'spare') await runtime.rest?.();
    const startedAt = performance.now();
    check(await runtime.startCold(from, body));
    all.record((performance.now() - startedAt) * 1_000);
  }
  return all.quantileUs(0.5) / 1_000;
}

async function measureWarm(warm: WarmInstance, { warmMs, streamBytes }: RuntimeOptions): Promise<Partial<RuntimeRound>> {
  const many = Math.min(inFlight, warm.concurrency);
  await callFor(warm, many, warmMs);
  const one = await callFor(warm, 1, warmMs);
  const together = await callFor(warm, many, warmMs);
  // An instance gives back what it no longer needs when it has been idle for a while.
  await new Promise((resolve) => void setTimeout(resolve, idleMs));
  const restMiB = await warm.memoryMiB();
  return {
    warmP50Us: one.quantileUs(0.5),
    warmP99Us: one.quantileUs(0.99),
    callsPerSecond: (together.count / warmMs) * 1_000,
    restMiB,
    ...(await measureStreams(warm, streamBytes)),
  };
}

async function measureStreams(warm: WarmInstance, bytes: number): Promise<Partial<RuntimeRound>> {
  const { download, upload } = warm;
  if (!download || !upload) return {};
  const before = process.memoryUsage.rss();
  let [most, mostHost] = [0, 0];
  const look = async () => {
    mostHost = Math.max(mostHost, process.memoryUsage.rss() - before);
    most = Math.max(most, await warm.memoryMiB());
  };
  const timer = setInterval(() => void look(), 50);
  try {
    const startedAt = performance.now();
    for await (const piece of download(bytes)) void piece;
    const betweenAt = performance.now();
    await upload(bytes);
    const endedAt = performance.now();
    await look();
    const speed = (ms: number) => bytes / (ms * 1_000);
    return {
      downloadMBs: speed(betweenAt - startedAt),
      uploadMBs: speed(endedAt - betweenAt),
      streamingMiB: most,
      hostMiB: mostHost / 2 ** 20,
    };
  } finally {
    clearInterval(timer);
  }
}

async function callFor(warm: WarmInstance, callers: number, forMs: number): Promise<Histogram> {
  const latencies = new Histogram();
  const until = performance.now() + forMs;
  const callAgain = async () => {
    while (performance.now() < until) {
      const sentAt = performance.now();
      check(await warm.echo(body));
      latencies.record((performance.now() - sentAt) * 1_000);
    }
  };
  await Promise.all(Array.from({ length: callers }, callAgain));
  return latencies;
}

function check(answer: Uint8Array): void {
  if (Buffer.compare(answer, body) !== 0) throw new Error(`A wrong answer: ${Buffer.from(answer).toString('latin1', 0, 200)}`);
}
