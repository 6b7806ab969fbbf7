import { setFlagsFromString } from 'node:v8';
import { startNode } from '../src/compose.ts';
import { chain, testSigner } from '../test/scripted-super-node.ts';

/** A node to be measured: reads where its super node is from its environment, and ends when its parent lets go. */
interface NodeArguments {
  readonly folder: string;
  readonly address: string;
  readonly key: string;
}

// As the command does (docs/decisions/0280, 0315).
for (const flag of ['--no-allocation-site-pretenuring', '--heap-growing-percent=100', '--semi-space-growth-factor=4'])
  setFlagsFromString(flag);
const { folder, address, key } = JSON.parse(process.env['ORB_BENCH_NODE']!) as NodeArguments;
const node = await startNode({
  dataFolder: folder,
  chain,
  signer: testSigner('node'),
  label: 'bench',
  superNodes: [{ address, key }],
  settings: { memoryMiB: 2_048, slots: 4_096, containers: 'off', minIsolation: 'process', onBattery: 'lend', priority: 'normal' },
});
process.once('disconnect', () => void node.stop().then(() => process.exit(0)));
