import { join } from 'node:path';
import { startNode } from '@orb/node';
import { createSigner, type Hex32 } from '@orb/protocol';
import { setHeapFlags } from '../../packages/cli/src/heap-flags.ts';
import { childArgument, reportReady } from '../child.ts';

/** What the process is started with. The keys are of this run alone. */
export interface LightNodesArgument {
  readonly chain: Hex32;
  readonly superNodes: readonly { readonly address: string; readonly key: Hex32 }[];
  /** Where the ledger is read and written, as the command has it. */
  readonly gateways: readonly string[];
  readonly folder: string;
  readonly seeds: readonly Hex32[];
  readonly slots: number;
}

/*
 * Many lent computers in one process: each has a link, tickets, receipts, journal and roots of its own, all real. Only the
 * sandbox is the one that runs inside this process, so that a hundred of them fit on one machine. Their folder is best
 * kept in memory: a hundred computers do not share one disk.
 */
setHeapFlags();
const { chain, superNodes, gateways, folder, seeds, slots } = childArgument<LightNodesArgument>();
for (const [index, seed] of seeds.entries()) {
  await startNode(
    {
      dataFolder: join(folder, `node-${index}`),
      chain,
      signer: createSigner(seed),
      superNodes: [...superNodes],
      gateways: [...gateways],
      label: `light-${index}`,
      settings: { slots, memoryMiB: 65_536, minIsolation: 'process', onBattery: 'lend' },
      sandbox: 'memory',
    },
    { log: (level, message) => level === 'warn' && console.error(`light node ${index}: ${message}`) },
  );
}
reportReady('ready');
