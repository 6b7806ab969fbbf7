import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { CallTarget } from './load/caller.ts';
import { PayloadSource } from './load/payload.ts';

/** What wrk saw of one row. */
export interface WrkCheck {
  readonly row: string;
  readonly inFlight: number;
  readonly callsPerSecond: number;
  readonly p50Us: number;
  readonly p99Us: number;
  /** Statuses other than 2xx and 3xx, and socket errors. */
  readonly failed: number;
}

/**
 * Loads an HTTP row with wrk, which shares no line of code with the bench's own generator. Undefined where there is no
 * wrk, or the row does not speak HTTP.
 */
export async function checkWithWrk(
  row: string,
  target: CallTarget,
  inFlight: number,
  durationMs: number,
  payloadBytes: number,
): Promise<WrkCheck | undefined> {
  if (target.protocol !== 'http') return undefined;
  const folder = await mkdtemp(join(tmpdir(), 'orb-bench-wrk-'));
  try {
    const script = join(folder, 'request.lua');
    await writeFile(script, luaScript(target.headers, new PayloadSource('wrk', payloadBytes).next().text));
    const seconds = Math.max(1, Math.round(durationMs / 1_000));
    const { stdout } = await promisify(execFile)('wrk', ['-t1', `-c${inFlight}`, `-d${seconds}s`, '-s', script, target.urls[0]!], {
      timeout: durationMs + 30_000,
    });
    return { row, inFlight, ...readWrk(stdout) };
  } catch (error) {
    if ((error as { code?: unknown }).code === 'ENOENT') return undefined;
    throw error;
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** The figures in wrk's own words, as the script's `done` prints them. @throws Error when there are none */
export function readWrk(output: string): Omit<WrkCheck, 'row' | 'inFlight'> {
  const match = /^orb (\{.*\})$/m.exec(output);
  if (match?.[1] === undefined) throw new Error(`wrk printed no figures: ${output.slice(0, 500)}`);
  return JSON.parse(match[1]) as Omit<WrkCheck, 'row' | 'inFlight'>;
}

/** A request of its own for every call: a counter in the payload's id. */
function luaScript(headers: Readonly<Record<string, string>>, body: string): string {
  const [before = '', after = ''] = body.split('wrk-000000000000');
  return `
wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
${Object.entries(headers)
  .map(([name, value]) => `wrk.headers[${JSON.stringify(name)}] = ${JSON.stringify(value)}`)
  .join('\n')}
local count = 0
request = function()
  count = count + 1
  return wrk.format(nil, nil, nil, ${JSON.stringify(before)} .. string.format("wrk-%012d", count) .. ${JSON.stringify(after)})
end
done = function(summary, latency)
  local e = summary.errors
  io.write(string.format('orb {"callsPerSecond":%f,"p50Us":%d,"p99Us":%d,"failed":%d}\\n',
    summary.requests / summary.duration * 1000000, latency:percentile(50), latency:percentile(99), e.connect + e.read + e.write + e.status + e.timeout))
end
`;
}
