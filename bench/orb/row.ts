import { RowUnavailable, type Row, type RowOptions, type RunningRow } from '../row.ts';
import { auditBooks } from './audit-books.ts';
import { measureColdStarts } from './cold-start.ts';
import { deployMany } from './many-functions.ts';
import { BenchNetwork, type NetworkOptions } from './network.ts';

const echo = 'export default (input: unknown) => input;\n';
const slowEcho = (ms: number) => `export default async (input: unknown) => {
  await new Promise((resolve) => setTimeout(resolve, ${ms}));
  return input;
};\n`;

interface OrbRowOptions extends Omit<NetworkOptions, 'nodeFlags'> {
  readonly id: string;
  readonly name: string;
  /** Numbers of the super nodes at which the calls enter, in turn. @default [0] */
  readonly enterAt?: readonly number[];
  /** Nodes that hold the function. @default 1 */
  readonly replicas?: number;
  /** How long the function waits before it answers: the nodes, not the super node, are then what is full. @default 0 */
  readonly answerAfterMs?: number;
  /** Other functions, each with code, version and allowance of its own, deployed and seeded before. @default 0 */
  readonly otherFunctions?: number;
  readonly coldStarts?: boolean;
  /** How it is called: over HTTP, or with the SDK over a link. @default 'http' */
  readonly calledBy?: 'http' | 'sdk';
}

/** Orb: super nodes, nodes and sandboxes, with everything on. */
export function orbRow({
  id,
  name,
  enterAt = [0],
  replicas = 1,
  answerAfterMs = 0,
  otherFunctions = 0,
  coldStarts = false,
  calledBy = 'http',
  ...layout
}: OrbRowOptions): Row {
  return {
    id,
    name,
    async start({ nodeFlags }: RowOptions): Promise<RunningRow> {
      if (process.platform !== 'linux') throw new RowUnavailable('The Orb rows have been tried on Linux alone.');
      const network = await BenchNetwork.start({ ...layout, nodeFlags });
      try {
        if (otherFunctions > 0) await deployMany(network, otherFunctions);
        const path = await deployEcho(network, answerAfterMs > 0 ? slowEcho(answerAfterMs) : echo, { ...layout, replicas });
        const urls = enterAt.map((superNode) => `${network.gateways[superNode]}${path}`);
        return {
          target: calledBy === 'http' ? { protocol: 'http', urls, headers: {} } : { protocol: 'sdk', urls },
          processes: () => network.processes(),
          settled: () => network.settled(),
          ...(layout.ledger !== false && { audit: (answered, doubtful) => auditBooks(network, answered, doubtful) }),
          ...(coldStarts && { startCold: (count) => measureColdStarts(network, count) }),
          stop: () => network.stop(),
        };
      } catch (error) {
        await network.stop();
        throw error;
      }
    },
  };
}

/** Seeded at every super node that has a node; the others have heard of it when this resolves. */
async function deployEcho(
  network: BenchNetwork,
  source: string,
  { nodes = [0], replicas }: Pick<NetworkOptions, 'nodes'> & { readonly replicas: number },
): Promise<string> {
  const [seedAt = 0, ...more] = new Set(nodes);
  const path = await network.deploy('echo', source, { replicas }, seedAt);
  for (const superNode of more) await network.seed('echo', superNode);
  if (network.gateways.length > 1)
    await network.until('every super node to know of seeders', () => network.allHearOfSeeders(new Set(nodes)));
  return path;
}
