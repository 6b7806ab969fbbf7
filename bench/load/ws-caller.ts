import { WebSocket } from 'ws';
import type { Caller, CallTarget } from './caller.ts';
import { echoes, type Payload } from './payload.ts';

/** Calls the bare WebSocket hub: the same fields as the seed's hub, as JSON text frames. */
export class WsCaller implements Caller {
  readonly #socket: WebSocket;
  readonly #functionName: string;
  readonly #waiting = new Map<number, (answer: unknown) => void>();
  #nextId = 0;

  private constructor(socket: WebSocket, functionName: string) {
    this.#socket = socket;
    this.#functionName = functionName;
    socket.on('message', (data) => {
      const { id, answer } = JSON.parse((data as Buffer).toString()) as { id: number; answer: unknown };
      this.#waiting.get(id)?.(answer);
      this.#waiting.delete(id);
    });
  }

  static open({ url, certificate, functionName }: Extract<CallTarget, { protocol: 'socket.io' | 'ws' }>): Promise<WsCaller> {
    const socket = new WebSocket(url, { perMessageDeflate: false, ...(certificate !== undefined && { ca: certificate }) });
    return new Promise((resolve, reject) => {
      socket.once('open', () => resolve(new WsCaller(socket, functionName)));
      socket.once('error', reject);
    });
  }

  call(payload: Payload): Promise<boolean> {
    const id = this.#nextId++;
    return new Promise((resolve) => {
      this.#waiting.set(id, (answer) => resolve(echoes(answer, payload)));
      this.#socket.send(JSON.stringify({ type: 'fcall', id, fname: this.#functionName, params: payload.value }));
    });
  }

  async close(): Promise<void> {
    this.#socket.terminate();
  }
}
