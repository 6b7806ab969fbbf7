import { startChild, type Child } from './child.ts';
import type { CallTarget } from './load/caller.ts';
import { makeCertificate, type Certificate } from './self-signed-certificate.ts';
import type { Row, RowOptions, RunningRow } from './row.ts';

interface HubRowOptions {
  readonly id: string;
  readonly name: string;
  readonly protocol: 'socket.io' | 'ws';
  /** Folder that holds `hub.ts` and `provider.ts`. */
  readonly folder: string;
  readonly secure?: boolean;
  /** Providers, all in one process. @default 1 */
  readonly providers?: number;
  /** Functions, the one that is called among them. @default 1 */
  readonly functions?: number;
  /** Every provider runs every call, as the seed's hub is printed. @default false */
  readonly everyProvider?: boolean;
}

const functionName = 'echo';

/** A hub and a provider as two processes; the caller is the third. */
export function hubRow(options: HubRowOptions): Row {
  const { id, name, protocol, folder, secure = false, providers = 1, functions = 1, everyProvider = false } = options;
  const module = (file: string) => new URL(`./${folder}/${file}`, import.meta.url);
  return {
    id,
    name,
    async start({ nodeFlags }: RowOptions): Promise<RunningRow> {
      const certificate = secure ? await makeCertificate() : null;
      const hub = await startChild(module('hub.ts'), { nodeFlags, argv: [JSON.stringify({ tls: certificate, everyProvider })] });
      const target = targetOf(protocol, String(hub.ready), certificate);
      try {
        const provider = await startChild(module('provider.ts'), {
          nodeFlags,
          argv: [JSON.stringify({ ...target, clients: providers, functions })],
        });
        return running(target, hub.child, provider.child);
      } catch (error) {
        await hub.child.stop();
        throw error;
      }
    },
  };
}

function targetOf(protocol: 'socket.io' | 'ws', url: string, certificate: Certificate | null): CallTarget {
  return { protocol, url, functionName, ...(certificate !== null && { certificate: certificate.cert }) };
}

function running(target: CallTarget, hub: Child, provider: Child): RunningRow {
  return {
    target,
    processes: () => [
      { role: 'hub', pid: hub.pid },
      { role: 'provider', pid: provider.pid },
    ],
    async stop() {
      await provider.stop();
      await hub.stop();
    },
  };
}
