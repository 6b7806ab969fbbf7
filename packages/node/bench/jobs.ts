/*
 * What one job costs a node and its sandbox: a real node process with links over TLS, Deno, journal and receipts, and in
 * this process a super node that does nothing but hand out tickets. By hand, on Linux:
 *   node packages/node/bench/jobs.ts [--seconds 2] [--rounds 5] [--in-flight 1,64] [--busy US] [--cpu-prof FOLDER]
 *                                    [--against FOLDER] [--flags='V8 FLAGS'] [--against-flags='V8 FLAGS']
 * `--busy` spins that long before each job, as a real super node's own work would: jobs then come in smaller batches.
 * `--against` starts a second node from another checkout, or with other flags, and measures the two in turns: on a
 * crowded machine their ratio says more than either figure.
 */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { Rig, type Figures } from './node-rig.ts';

const warmUpMs = 4_000;

await measure();

async function measure(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string', default: '2' },
      rounds: { type: 'string', default: '5' },
      'in-flight': { type: 'string', default: '1,64' },
      busy: { type: 'string', default: '0' },
      'cpu-prof': { type: 'string' },
      flags: { type: 'string', default: '' },
      against: { type: 'string' },
      'against-flags': { type: 'string', default: '' },
    },
  });
  const profiling = values['cpu-prof'] === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${values['cpu-prof']}`];
  const words = (text: string) => text.split(' ').filter((word) => word !== '');
  const own = process.cwd();
  const rigs = [await Rig.start('here', own, [...words(values.flags), ...profiling])];
  try {
    if (values.against !== undefined) rigs.push(await Rig.start('there', resolve(values.against), words(values['against-flags'])));
    const load = { busyUs: Number(values.busy), ms: Number(values.seconds) * 1_000 };
    for (const rig of rigs) await rig.run({ ...load, inFlight: 64, ms: warmUpMs });
    for (const inFlight of values['in-flight'].split(',').map(Number)) {
      const rounds: Figures[][] = [];
      for (let round = 0; round < Number(values.rounds); round++) {
        const figures: Figures[] = [];
        for (const rig of rigs) figures.push(await rig.run({ ...load, inFlight }));
        rounds.push(figures);
      }
      report(inFlight, rigs, rounds);
    }
  } finally {
    for (const rig of rigs) await rig.stop();
  }
}

function report(inFlight: number, rigs: readonly Rig[], rounds: readonly Figures[][]): void {
  for (const [index, { name }] of rigs.entries()) {
    const of = (field: keyof Figures) => median(rounds.map((figures) => figures[index]![field]));
    console.log(
      `${inFlight} in flight, ${name}: ${Math.round(of('perSecond'))} jobs/s, p50 ${of('p50Ms').toFixed(2)} ms, p99 ${of('p99Ms').toFixed(2)} ms, ` +
        `µs a job: node ${of('nodeUs').toFixed(1)}, sandbox ${of('sandboxUs').toFixed(1)}, caller ${of('callerUs').toFixed(1)}`,
    );
  }
  if (rigs.length < 2) return;
  const ratio = (field: keyof Figures) => median(rounds.map(([here, there]) => here![field] / there![field])).toFixed(2);
  console.log(`${inFlight} in flight, here ÷ there: node ${ratio('nodeUs')}, sandbox ${ratio('sandboxUs')}, jobs/s ${ratio('perSecond')}`);
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}
