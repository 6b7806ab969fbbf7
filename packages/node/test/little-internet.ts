import { createServer as createWebServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TlsOptions } from 'node:tls';
import type { Internet } from '../src/web/internet.ts';

/** A public address that stands for the servers of a test, which are on this computer. */
export const testAddress = '93.184.216.34';

interface Site {
  readonly listener: RequestListener;
  readonly tls?: TlsOptions;
}

/** An internet of names and servers of a test's own: everything is refused as on the real one, and only dialling differs. */
export class LittleInternet implements Internet {
  readonly names = new Map<string, readonly string[] | (() => readonly string[])>();
  /** What was really dialled, in order. */
  readonly dialled: string[] = [];
  /** Names that were looked up, in order. */
  readonly lookUps: string[] = [];
  readonly #servers: Server[] = [];
  readonly #ports = new Map<number, number>();
  networks: readonly string[] = [];

  /** Serves a port of {@link testAddress}. */
  async serve(port: number, { listener, tls }: Site): Promise<void> {
    const server = tls ? createTlsServer(tls, listener) : createWebServer(listener);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    this.#servers.push(server);
    this.#ports.set(port, (server.address() as AddressInfo).port);
  }

  resolve(host: string): Promise<readonly string[]> {
    this.lookUps.push(host);
    const found = this.names.get(host);
    if (!found) return Promise.reject(Object.assign(new Error(`queryA ENOTFOUND ${host}`), { code: 'ENOTFOUND' }));
    return Promise.resolve(typeof found === 'function' ? found() : found);
  }

  localNetworks(): readonly string[] {
    return this.networks;
  }

  dial(address: string, port: number): { host: string; port: number } {
    this.dialled.push(`${address}:${port}`);
    // A port that nothing listens on.
    return { host: '127.0.0.1', port: address === testAddress ? (this.#ports.get(port) ?? 1) : 1 };
  }

  async close(): Promise<void> {
    await Promise.all(
      this.#servers.map((server) => {
        server.closeAllConnections();
        return new Promise((resolve) => server.close(resolve));
      }),
    );
  }
}
