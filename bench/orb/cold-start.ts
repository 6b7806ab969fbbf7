import { Histogram } from '../measure/histogram.ts';
import { HttpCaller } from '../load/http-caller.ts';
import type { HttpResponse } from '../load/http-connection.ts';
import type { BenchNetwork } from './network.ts';

/** First calls of functions that nobody has called before, under one condition of the node. */
export interface ColdStarts {
  /** Where the sandbox came from: `the pool` or `nothing`. */
  readonly name: string;
  /** The set-up that the node reported in `server-timing`. */
  readonly setupUs: Quantiles;
  /** The whole call as its caller saw it. */
  readonly callUs: Quantiles;
  readonly failed: number;
  readonly firstFailure: string | undefined;
}

interface Quantiles {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
}

/** Long enough for a node to have a spare in its pool again, and for the spare to have come to rest. */
const restMs = 400;
/** A node keeps spares of the usual size; the first function of each larger size starts from nothing. */
const sizesMiB = [256, 512, 1_024, 2_048, 4_096];

/**
 * Deploys tiny functions and calls each once. From the pool: functions of the usual size, one after the other, the node
 * at rest in between. From nothing: one function of each larger size, for which the node holds no spare.
 */
export async function measureColdStarts(network: BenchNetwork, count: number): Promise<readonly ColdStarts[]> {
  const pooled = await deployMany(
    network,
    Array.from({ length: count }, (_, index) => ({ name: `pooled-${index}`, memoryMiB: 128 })),
  );
  const bare = await deployMany(
    network,
    sizesMiB.map((memoryMiB) => ({ name: `bare-${memoryMiB}`, memoryMiB })),
  );
  return [await callEach('the pool', pooled), await callEach('nothing', bare)];
}

interface Tiny {
  readonly name: string;
  readonly memoryMiB: number;
}

async function deployMany(network: BenchNetwork, functions: readonly Tiny[]): Promise<readonly string[]> {
  const urls: string[] = [];
  for (const { name, memoryMiB } of functions) {
    // Its own code, so that it is a version of its own and shares no process with another.
    const source = `export default () => ${JSON.stringify(name)};\n`;
    urls.push(`${network.gateways[0]}${await network.deploy(name, source, { memoryMiB, budgetUnits: 1_000_000_000n })}`);
  }
  return urls;
}

async function callEach(name: string, urls: readonly string[]): Promise<ColdStarts> {
  const setup = new Histogram();
  const call = new Histogram();
  const failures: string[] = [];
  for (const url of urls) {
    await new Promise((resolve) => setTimeout(resolve, restMs));
    const startedAt = performance.now();
    try {
      const response = await callOnce(url);
      call.record((performance.now() - startedAt) * 1_000);
      setup.record(setupUsOf(response));
    } catch (error) {
      failures.push(error instanceof Error ? error.message : String(error));
    }
  }
  return { name, setupUs: quantiles(setup), callUs: quantiles(call), failed: failures.length, firstFailure: failures[0] };
}

async function callOnce(url: string): Promise<HttpResponse> {
  const caller = new HttpCaller({ protocol: 'http', urls: [url], headers: {} });
  try {
    const response = await caller.exchange('{}');
    if (response.status !== 200) throw new Error(`status ${response.status}: ${response.body.slice(0, 200)}`);
    return response;
  } finally {
    await caller.close();
  }
}

/** The `setup` entry of `server-timing`, microseconds. @throws Error when the response has none, or the call was warm */
export function setupUsOf(response: Pick<HttpResponse, 'header'>): number {
  const timing = response.header('server-timing') ?? '';
  const durationMs = Number(/(?:^|,\s*)setup;dur=([\d.]+)/.exec(timing)?.[1]);
  if (!(durationMs > 0)) throw new Error(`no cold start: server-timing is "${timing.slice(0, 200)}"`);
  return durationMs * 1_000;
}

function quantiles(histogram: Histogram): Quantiles {
  return { count: histogram.count, p50: histogram.quantileUs(0.5), p99: histogram.quantileUs(0.99) };
}
