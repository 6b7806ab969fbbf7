/*
 * What the Deno sandbox costs by itself: warm calls through one instance, cold starts from a spare, memory at rest.
 * By hand, on Linux: node packages/sandbox/bench/deno-calls.ts [--seconds 2] [--cpu-prof]
 */
import { readdirSync, readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { fromUtf8, sha256, utf8 } from '@orb/protocol';
import { bundleFormat } from '../src/bundle-format.ts';
import { jobOf } from '../src/conformance/jobs.ts';
import { DenoSandbox } from '../src/deno/index.ts';
import type { BundleProgram, Instance } from '../src/port.ts';

const tickUs = 10_000;
const { values } = parseArgs({ options: { seconds: { type: 'string', default: '2' } } });
const ms = Number(values.seconds) * 1_000;
const input = { text: 'x'.repeat(180) };
const text = JSON.stringify(input);
const banner = bundleFormat('commonjs').banner.js;

const shapes = {
  json: 'module.exports = { default: (input) => input };',
  async: 'module.exports = { default: async (input) => { await null; return input; } };',
  fetch: 'module.exports = { default: { async fetch(request) { return Response.json(await request.json()); } } };',
};

const sandbox = new DenoSandbox({ spares: 1 });
try {
  await sandbox.probe();
  for (const [name, source] of Object.entries(shapes)) await warm(name, await sandbox.start(program(source)));
  for (const kib of [0, 100, 500]) await cold(kib);
  await atRest();
} finally {
  await sandbox.close();
}

function program(source: string): BundleProgram {
  const code = utf8(`${banner}\n${source}`);
  return { kind: 'bundle', sha256: sha256(code), code, handler: 'auto', memoryMiB: 128, startTimeoutMs: 10_000 };
}

async function warm(name: string, instance: Instance): Promise<void> {
  await calls(instance, 64, 1_500);
  for (const inFlight of [1, 64]) {
    const before = { own: process.cpuUsage(), below: belowUs() };
    const { latencies, elapsedMs } = await calls(instance, inFlight, ms);
    const own = process.cpuUsage(before.own);
    const count = latencies.length;
    console.log(
      `${name}, ${inFlight} in flight: ${Math.round((count / elapsedMs) * 1_000)} calls/s, p50 ${quantile(latencies, 0.5)} ms, ` +
        `p99 ${quantile(latencies, 0.99)} ms, µs a call: host ${((own.user + own.system) / count).toFixed(1)}, ` +
        `sandbox ${((belowUs() - before.below) / count).toFixed(1)}`,
    );
  }
  await instance.kill();
}

async function calls(instance: Instance, inFlight: number, forMs: number): Promise<{ latencies: number[]; elapsedMs: number }> {
  const latencies: number[] = [];
  const startedMs = performance.now();
  const caller = async (_: unknown, index: number) => {
    while (performance.now() - startedMs < forMs) {
      const sentMs = performance.now();
      const { body, completed } = await instance.invoke(jobOf(input, { job: `job-${index}` }));
      if (completed?.outcome !== 'ok' || !(body instanceof Uint8Array) || fromUtf8(body) !== text) throw new Error('a wrong answer');
      latencies.push(performance.now() - sentMs);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, caller));
  return { latencies, elapsedMs: performance.now() - startedMs };
}

/** Start and first answer of a program never seen before, from a spare that has come to rest. */
async function cold(kib: number): Promise<void> {
  const starts: number[] = [];
  const firsts: number[] = [];
  for (let i = 0; i < 15; i++) {
    await new Promise((resolve) => setTimeout(resolve, 700));
    const sentMs = performance.now();
    const instance = await sandbox.start(program(`${filler(kib, i)}\n${shapes.json}`));
    starts.push(performance.now() - sentMs);
    await instance.invoke(jobOf(input));
    firsts.push(performance.now() - sentMs);
    await instance.kill();
  }
  console.log(
    `cold from a spare, ${kib} KiB: start p50 ${quantile(starts, 0.5)} ms, max ${quantile(starts, 1)}; first answer p50 ${quantile(firsts, 0.5)} ms`,
  );
}

/** Code that looks like a bundle: functions that are there and that nobody calls, and some that run while it loads. */
function filler(kib: number, salt: number): string {
  let code = '';
  for (let i = 0; code.length < kib * 1_024; i++) {
    code += `var f${i} = (init) => { const state = { n: ${salt + i}, names: ['a${i}', 'b${i}'] }; function step(value) { if (value > state.n) return step(value - 1); return state.names.map((name) => name + value + init).join(','); } return { step, state }; };\n`;
    if (i % 4 === 0) code += `var m${i} = f${i}(${i});\n`;
  }
  return code;
}

async function atRest(): Promise<void> {
  for (const [name, source] of Object.entries({ hello: shapes.json, '100 KiB': `${filler(100, 0)}\n${shapes.json}` })) {
    const before = new Set(denos());
    const instance = await sandbox.start(program(source));
    await calls(instance, 1, 300);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    for (const pid of denos()) {
      const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
      const kib = (field: string) => Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(rollup)?.[1] ?? 0);
      const own = kib('Private_Clean') + kib('Private_Dirty');
      console.log(
        `at rest, ${before.has(pid) ? name : 'the next spare'}: private ${(own / 1_024).toFixed(1)} MiB, resident ${(kib('Rss') / 1_024).toFixed(1)} MiB, share ${(kib('Pss') / 1_024).toFixed(1)} MiB`,
      );
    }
    await instance.kill();
  }
}

function quantile(of: number[], at: number): string {
  const sorted = of.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * at))]!.toFixed(2);
}

function belowUs(): number {
  return processes().reduce((sum, { us }) => sum + us, 0);
}

function denos(): number[] {
  return processes()
    .filter(({ name }) => name.startsWith('deno'))
    .map(({ pid }) => pid);
}

/** Every process below this one. */
function processes(): { pid: number; name: string; us: number }[] {
  const all = readdirSync('/proc').map(Number).filter(Boolean).flatMap(statOf);
  const below = (parent: number): typeof all => all.filter((each) => each.parent === parent).flatMap((each) => [each, ...below(each.pid)]);
  return below(process.pid);
}

function statOf(pid: number): { pid: number; parent: number; name: string; us: number }[] {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const name = stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'));
    return [{ pid, parent: Number(fields[1]), name, us: (Number(fields[11]) + Number(fields[12])) * tickUs }];
  } catch {
    return [];
  }
}
