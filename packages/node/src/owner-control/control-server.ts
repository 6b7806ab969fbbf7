import { chmodSync, mkdirSync, rmSync } from 'node:fs';
import { createServer, connect, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { asOrbError, OrbError, parseWith } from '@orb/protocol';
import { controlAddress, controlLineBytes, controlRequestSchema, type ControlRequest } from './control-protocol.ts';

/** Does what the owner asks. Resolves to what the owner is shown. */
export type ControlHandler = (request: ControlRequest) => unknown;

/** The longest path that every Unix takes for a socket. */
const socketPathBytes = 103;
const maxClients = 16;
const idleMs = 60_000;

/** The owner's channel to a running node. It is also what keeps two nodes off one data folder. */
export class ControlServer {
  readonly #server: Server;
  readonly #clients: Set<Socket>;

  private constructor(server: Server, clients: Set<Socket>) {
    this.#server = server;
    this.#clients = clients;
  }

  /** @throws OrbError `conflict` when a node runs on this data folder already, `invalid-request` when the path is too long */
  static async listen(dataFolder: string, handler: ControlHandler): Promise<ControlServer> {
    const address = controlAddress(dataFolder);
    if (await answers(address)) {
      throw new OrbError('conflict', {
        message: `A node is running on ${dataFolder} already.`,
        hint: 'Stop it with orb node stop, or give this one another data folder.',
      });
    }
    if (process.platform !== 'win32') prepareSocketFolder(address);
    const clients = new Set<Socket>();
    const server = createServer((socket) => takeClient(socket, clients, handler));
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(address, resolve));
    if (process.platform !== 'win32') chmodSync(address, 0o600);
    return new ControlServer(server, clients);
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#clients) socket.destroy();
    await closed;
  }
}

function prepareSocketFolder(address: string): void {
  const bytes = Buffer.byteLength(address);
  if (bytes > socketPathBytes) {
    throw new OrbError('invalid-request', {
      message: `The control socket's path ${address} has ${bytes} bytes; the limit is ${socketPathBytes}.`,
      hint: 'Choose a data folder with a shorter path.',
    });
  }
  const folder = dirname(address);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  // The folder is closed before the socket is in it, so there is no moment in which others could connect.
  chmodSync(folder, 0o700);
  rmSync(address, { force: true });
}

function answers(address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(address);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

function takeClient(socket: Socket, clients: Set<Socket>, handler: ControlHandler): void {
  if (clients.size >= maxClients) return void socket.destroy();
  clients.add(socket);
  socket.setEncoding('utf8').setTimeout(idleMs, () => socket.destroy());
  socket.on('close', () => clients.delete(socket)).on('error', () => socket.destroy());
  let waiting = '';
  socket.on('data', (text: string) => {
    const lines = (waiting + text).split('\n');
    waiting = lines.pop()!;
    for (const line of lines) void answerLine(line, handler).then((answer) => socket.write(`${JSON.stringify(answer)}\n`));
    if (waiting.length > controlLineBytes.request) socket.destroy();
  });
}

async function answerLine(line: string, handler: ControlHandler): Promise<unknown> {
  try {
    if (line.length > controlLineBytes.request) throw new OrbError('too-large', { message: 'The line is too long.' });
    return { ok: true, result: (await handler(parseWith(controlRequestSchema, parseJson(line), 'control'))) ?? null };
  } catch (error) {
    return { ok: false, error: asOrbError(error) };
  }
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch (cause) {
    throw new OrbError('invalid-request', { message: 'The line is not JSON.', cause });
  }
}
