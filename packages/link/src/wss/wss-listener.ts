import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { OrbError } from '@orb/protocol';
import { WebSocketServer, type WebSocket } from 'ws';
import { handshakeLimits } from '../handshake.ts';
import { LinkAcceptor } from '../link-acceptor.ts';
import type { Link, LinkListener, ListenOptions } from '../port.ts';
import { Admission, defaultAdmissionLimits, type Admitted } from './admission.ts';
import { makeCertificate } from './certificate.ts';
import { exportKey, linkSubprotocol, wsOptions, type WssOptions } from './wss-options.ts';
import { WsPipe } from './ws-pipe.ts';

/** A TCP connection from its first byte on. */
interface Guest {
  readonly connection: Socket;
  readonly place: Admitted;
  /** Ends the connection unless it becomes a link in time: one clock for TLS, HTTP and handshake together. */
  readonly timer: NodeJS.Timeout;
}

/** Accepts links over secure WebSockets. */
export class WssListener implements LinkListener {
  readonly address: string;
  readonly links: ReadonlySet<Link>;
  readonly #server: Server;
  readonly #acceptor: LinkAcceptor;
  readonly #webSockets: WebSocketServer;
  readonly #admission: Admission;
  readonly #timeoutMs: number;
  /** By remote address and port, which raw and TLS socket have in common. */
  readonly #guests = new Map<string, Guest>();

  private constructor(server: Server, options: WssOptions, acceptor: LinkAcceptor) {
    this.address = options.publicAddress ?? listeningAddress(server.address() as AddressInfo);
    this.links = acceptor.links;
    this.#server = server;
    this.#acceptor = acceptor;
    this.#webSockets = new WebSocketServer({ ...wsOptions, noServer: true, clientTracking: false });
    this.#admission = new Admission({ ...defaultAdmissionLimits, ...options.admission });
    this.#timeoutMs = options.handshakeTimeoutMs ?? handshakeLimits.timeoutMs;
    server.on('connection', (connection: Socket) => this.#onConnection(connection));
    server.on('upgrade', (request, socket, head) => this.#onUpgrade(request, socket, head));
    server.on('request', (_request, response) =>
      response.writeHead(426, { connection: 'close', upgrade: 'websocket' }).end('Only links here.\n'),
    );
    server.on('clientError', (_error, socket) => socket.destroy());
  }

  /** @throws OrbError `conflict` when the address cannot be listened at */
  static async open(options: WssOptions, listen: ListenOptions): Promise<WssListener> {
    const { certificate, privateKey } = options.certificate ?? (await makeCertificate());
    const server = createServer({ cert: certificate, key: privateKey, minVersion: 'TLSv1.3', maxHeaderSize: 8_192, noDelay: true });
    const host = options.host ?? '127.0.0.1';
    try {
      server.listen(options.port ?? 0, host);
      await once(server, 'listening');
    } catch (cause) {
      throw new OrbError('conflict', {
        message: `Links cannot be accepted at ${host}:${options.port ?? 0}: ${(cause as Error).message}`,
        hint: 'Choose another port, or stop what has it.',
        cause,
      });
    }
    return new WssListener(server, options, new LinkAcceptor(listen, options.settings ?? {}));
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    await this.#acceptor.close();
    for (const { connection } of this.#guests.values()) connection.destroy();
    await closed;
  }

  #onConnection(connection: Socket): void {
    const place = this.#admission.admit(connection.remoteAddress ?? '');
    if (place === undefined) {
      connection.destroy();
      return;
    }
    const name = guestName(connection);
    const timer = setTimeout(() => connection.destroy(), this.#timeoutMs);
    this.#guests.set(name, { connection, place, timer });
    connection.once('close', () => {
      clearTimeout(timer);
      place.left();
      this.#guests.delete(name);
    });
  }

  #onUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const guest = this.#guests.get(guestName(request.socket));
    socket.on('error', () => undefined);
    if (guest === undefined || request.headers['sec-websocket-protocol'] !== linkSubprotocol) {
      socket.end('HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\nOnly links here.\n');
      return;
    }
    this.#webSockets.handleUpgrade(request, socket, head, (webSocket) => void this.#link(webSocket, request.socket as TLSSocket, guest));
  }

  async #link(webSocket: WebSocket, connection: TLSSocket, guest: Guest): Promise<void> {
    const pipe = new WsPipe(webSocket, connection, { address: guestName(connection), dialled: false });
    const exporter = exportKey(connection);
    if (exporter === undefined) {
      pipe.destroy();
      return;
    }
    const link = await this.#acceptor.accept(pipe, exporter);
    if (link === undefined) return;
    clearTimeout(guest.timer);
    guest.place.linked();
  }
}

/** An address to read: `192.0.2.1:50123`. */
function guestName({ remoteAddress, remotePort }: Socket): string {
  return hostAndPort(remoteAddress ?? 'unknown', remotePort ?? 0);
}

function listeningAddress({ address, port }: AddressInfo): string {
  return `wss://${hostAndPort(address, port)}`;
}

function hostAndPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
