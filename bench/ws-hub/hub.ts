import type { AddressInfo } from 'node:net';
import { WebSocketServer, type WebSocket } from 'ws';
import { reportReady } from '../child.ts';

// The bare limit of this layout: the same fields as the seed's hub over `ws` alone, parsed and written as JSON at each
// hop. It stands beside the seed's hub so that everybody can see what socket.io costs and that the hub is not built slow.
interface FunctionCall {
  readonly type: 'fcall';
  readonly id: number;
  readonly fname: string;
  readonly params: unknown;
}
interface Registration {
  readonly type: 'register';
  readonly fname: string;
}
interface Answer {
  readonly type: 'answer';
  readonly seek: number;
  readonly answer: unknown;
}

const providers = new Map<string, WebSocket>();
const waiting = new Map<number, { readonly caller: WebSocket; readonly id: number }>();
let nextSeek = 0;

const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false });
server.on('connection', (socket) => {
  socket.on('message', (data) => {
    const message = JSON.parse((data as Buffer).toString()) as FunctionCall | Registration | Answer;
    if (message.type === 'register') {
      providers.set(message.fname, socket);
      socket.send('{"type":"registered"}');
    } else if (message.type === 'fcall') {
      const seek = nextSeek++;
      waiting.set(seek, { caller: socket, id: message.id });
      providers.get(message.fname)?.send(JSON.stringify({ seek, params: message.params }));
    } else {
      const call = waiting.get(message.seek);
      waiting.delete(message.seek);
      call?.caller.send(JSON.stringify({ id: call.id, answer: message.answer }));
    }
  });
});
server.on('listening', () => reportReady(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`));
