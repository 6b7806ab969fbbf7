import { afterAll, beforeAll, expect, test } from 'vitest';
import { checkBooks } from './books.ts';
import { Network } from './network.ts';
import { until } from './until.ts';

let network: Network;
beforeAll(async () => {
  network = await Network.start({ nodes: ['ant'] });
});
afterAll(() => network?.stop());

/** 64 MiB for a second at 10 units: what one call may cost, in credits. */
const perCall = 0.00064;
const flags = ['--memory', '64', '--timeout', '1s', '--replicas', '1'];
const credits = (calls: number) => String(Number((calls * perCall).toFixed(9)));

async function opened(name: string): Promise<readonly string[]> {
  const { record } = await network.orbClient.functions.show(`alice/${name}`);
  const { id } = await network.orbClient.accounts.show('alice');
  const allowances = await network.orbClient.allowances.list(id);
  return allowances.filter(({ functions }) => functions.includes(record.id)).map(({ maxUnits }) => maxUnits);
}

/** Spends as much as can be spent: each call runs nearly to its time limit. */
const spender =
  'export default async () => { for (let i = 0; i < 10; i++) await new Promise((resolve) => setTimeout(resolve, 70)); return "ran"; };';

test('half of the budget is set aside at once; an owner’s call opens the rest where it is needed, and never more', async () => {
  await network.deploy('spend', spender, [...flags, '--budget', credits(4)]);
  expect(await opened('spend')).toEqual(['1280000']);
  let answered = 0;
  let refused: Awaited<ReturnType<typeof network.orb>> | undefined;
  const notes: string[] = [];
  while (!refused && answered < 20) {
    const run = await network.orb(['call', 'alice/spend']);
    notes.push(run.stderr);
    if (run.code === 0) answered++;
    else refused = run;
  }
  expect(notes.join('')).toContain('Set aside 0.00128 credits more for alice/spend, within its budget.');
  expect(refused).toMatchObject({ code: 4, stderr: expect.stringContaining('alice/spend') });
  expect(await opened('spend')).toEqual(['1280000', '1280000']);
  // 700 ms each of four times 1,000 ms; a call more needs its whole limit to be free.
  expect(answered).toBeGreaterThanOrEqual(4);
  const raised = await network.ok('deploy', await network.write('spend.ts', spender), '--budget', credits(8));
  expect(JSON.stringify(raised)).toContain('unchanged');
  expect(await network.orb(['call', 'alice/spend'])).toMatchObject({ code: 0 });
  await checkBooks(network);
});

test('a budget holds from one deploy to the next without being said again', async () => {
  await network.deploy('again', 'export default () => 1;', [...flags, '--budget', credits(6)]);
  await network.ok('deploy', await network.write('again.ts', 'export default () => 2;'));
  expect(await opened('again')).toEqual(['1920000']);
});

test('orb allowance keep tops up what others’ calls use, until the budget is spent, and says so', async () => {
  await network.deploy('kept', spender, [...flags, '--budget', credits(4)]);
  const keeper = network.watch('orb allowance keep', ['allowance', 'keep', 'alice/kept', '--every', '1s', '--json']);
  for (let call = 0; call < 2; call++) await network.call('kept');
  await until('the allowance to be topped up', async () => keeper.stdout.includes('"type":"opened"'));
  await until('strangers’ calls to have spent the budget', async () => (await network.call('kept')).status === 402);
  await until('the keeper to say that the budget is spent', async () => keeper.stdout.includes('"type":"short"'));
  expect(await opened('kept')).toEqual(['1280000', '1280000']);
  expect(await keeper.end('SIGINT')).toMatchObject({ code: 0 });
});
