import { RowUnavailable, type Row, type RowOptions, type RunningRow } from '../row.ts';
import { measureColdStarts } from './cold-start.ts';
import { auditBooks } from './audit-books.ts';
import { BenchNetwork } from './network.ts';

/** Small and short, so that many calls under way hold little money: what one holds is time limit × memory × price cap. */
const flags = ['--memory', '128', '--timeout', '2s', '--concurrency', '256', '--budget', '100'];

/** Orb over HTTP: super node, node and sandbox, with everything on. */
export const orbRow: Row = {
  id: 'orb',
  name: 'Orb, HTTP',
  async start({ nodeFlags }: RowOptions): Promise<RunningRow> {
    if (process.platform !== 'linux') throw new RowUnavailable('The Orb row has been tried on Linux alone.');
    const network = await BenchNetwork.start({ nodeFlags, nodes: 1 });
    try {
      const url = await network.deploy('echo', 'export default (input: unknown) => input;\n', flags);
      return {
        target: { protocol: 'http', url, headers: {} },
        processes: () => network.processes(),
        settled: () => network.settled(),
        audit: (answered) => auditBooks(network, answered),
        startCold: (count) => measureColdStarts(network, count),
        stop: () => network.stop(),
      };
    } catch (error) {
      await network.stop();
      throw error;
    }
  },
};
