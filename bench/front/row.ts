import { startChild } from '../child.ts';
import type { Row, RowOptions, RunningRow } from '../row.ts';

/** The gateway's HTTP server alone: no node behind it. */
export const frontRow: Row = {
  id: 'front',
  name: 'HTTP front alone, Fastify',
  async start({ nodeFlags }: RowOptions): Promise<RunningRow> {
    const { child, ready } = await startChild(new URL('./server.ts', import.meta.url), { nodeFlags });
    return {
      target: { protocol: 'http', urls: [String(ready)], headers: {} },
      processes: () => [{ role: 'front', pid: child.pid }],
      stop: () => child.stop(),
    };
  },
};
