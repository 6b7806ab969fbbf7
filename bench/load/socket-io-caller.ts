import { io, type Socket } from 'socket.io-client';
import type { Caller, CallTarget } from './caller.ts';
import { echoes, type Payload } from './payload.ts';

/** Calls the seed's hub: emits `fcall`, waits for the `answer` with its id. */
export class SocketIoCaller implements Caller {
  readonly #socket: Socket;
  readonly #functionName: string;
  readonly #waiting = new Map<number, (answer: unknown) => void>();
  #nextId = 0;

  private constructor(socket: Socket, functionName: string) {
    this.#socket = socket;
    this.#functionName = functionName;
    socket.on('answer', ({ id, answer }: { id: number; answer: unknown }) => {
      this.#waiting.get(id)?.(answer);
      this.#waiting.delete(id);
    });
  }

  static open({ url, certificate, functionName }: Extract<CallTarget, { protocol: 'socket.io' | 'ws' }>): Promise<SocketIoCaller> {
    const socket = io(url, { transports: ['websocket'], forceNew: true, ...(certificate !== undefined && { ca: certificate }) });
    return new Promise((resolve, reject) => {
      socket.once('connect', () => resolve(new SocketIoCaller(socket, functionName)));
      socket.once('connect_error', reject);
    });
  }

  call(payload: Payload): Promise<boolean> {
    const id = this.#nextId++;
    return new Promise((resolve) => {
      this.#waiting.set(id, (answer) => resolve(echoes(answer, payload)));
      this.#socket.emit('fcall', { id, fname: this.#functionName, clientId: 'caller', params: payload.value });
    });
  }

  async close(): Promise<void> {
    this.#socket.close();
  }
}
