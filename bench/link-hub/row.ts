import { startChild } from '../child.ts';
import type { CallTarget } from '../load/caller.ts';
import type { Row, RowOptions, RunningRow } from '../row.ts';

/** Orb's links alone, in the layout of the seed's hub. */
export const linkRow: Row = {
  id: 'link',
  name: 'Orb’s link alone',
  async start({ nodeFlags }: RowOptions): Promise<RunningRow> {
    const hub = await startChild(new URL('./hub.ts', import.meta.url), { nodeFlags });
    const target: CallTarget = { protocol: 'link', ...(hub.ready as { address: string; key: string; chain: string }) };
    try {
      const { child: provider } = await startChild(new URL('./provider.ts', import.meta.url), {
        nodeFlags,
        argv: [JSON.stringify(target)],
      });
      return {
        target,
        processes: () => [
          { role: 'hub', pid: hub.child.pid },
          { role: 'provider', pid: provider.pid },
        ],
        async stop() {
          await provider.stop();
          await hub.child.stop();
        },
      };
    } catch (error) {
      await hub.child.stop();
      throw error;
    }
  },
};
