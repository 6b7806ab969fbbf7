import { createServer as createPlain } from 'node:http';
import { createServer as createSecure } from 'node:https';
import type { AddressInfo } from 'node:net';
import { Server } from 'socket.io';
import { childArgument, reportReady } from '../child.ts';

/*
 * The seed's hub (appendix A of the Orb seed), rebuilt on socket.io 4. Same events, same data structures, same linear
 * search; express, ip and lodash were beside the path of a call and are left out. Repaired, and nothing else changed:
 * - a call carries an id and its answer goes, with the id, to the socket that called. As printed the answer has no id,
 *   and an inner variable of the same name sends it to the provider;
 * - the search ends at the first connected provider, so a call has one answer. As printed every client that knows the
 *   function runs every call; the row "as printed" has that back, and its caller takes the first answer;
 * - nothing is logged; as printed every call prints the whole list of functions;
 * - messages may be larger than socket.io's megabyte, or the rows of large bodies could not be measured;
 * - deploying a name again to the same client replaces the entry, so the list does not grow without end.
 */
interface Registered {
  readonly clientId: string;
  socketId: string;
  fns: readonly Deployed[];
}

interface Deployed {
  readonly id: string;
  readonly name: string;
  readonly fn: string;
}

interface Sent extends Deployed {
  readonly destinationSocketId: string;
  readonly destinationClientId: string;
}

interface FunctionCall {
  readonly id: number;
  readonly clientId: string;
  readonly fname: string;
  readonly params: unknown;
}

const fnObj: Registered[] = [];
const sendFn: Sent[] = [];

const { tls, everyProvider } = childArgument<{
  readonly tls: { readonly key: string; readonly cert: string } | null;
  readonly everyProvider: boolean;
}>();
const http = tls === null ? createPlain() : createSecure(tls);
const io = new Server(http, { transports: ['websocket'], serveClient: false, maxHttpBufferSize: 8 * 2 ** 20 });

io.on('connection', (socket) => {
  socket.broadcast.emit('user connected');
  socket.emit('event', { msg: 'hello' });
  socket.emit('register', { msg: 'please register' });

  socket.on('disconnect', () => {
    const registered = fnObj.find(({ socketId }) => socketId === socket.id);
    if (registered) registered.socketId = '';
  });

  socket.on('reg-req', ({ clientid }: { readonly clientid: string }) => {
    const registered = fnObj.find(({ clientId }) => clientId === clientid);
    if (registered) registered.socketId = socket.id;
    else fnObj.push({ clientId: clientid, socketId: socket.id, fns: [] });
  });

  socket.on('fcall', ({ id, fname, params }: FunctionCall) => {
    for (const fns of sendFn) {
      if (fns.name !== fname) continue;
      const destination = io.sockets.sockets.get(fns.destinationSocketId);
      if (!destination) continue;
      destination.emit('answer-seek', { fnobj: fns, params }, (answer: unknown) => socket.emit('answer', { id, answer }));
      if (!everyProvider) return;
    }
  });

  socket.on('deploy', ({ clientId, id, name, fn }: Deployed & { readonly clientId: string }) => {
    for (const client of fnObj) {
      if (client.clientId === clientId) client.fns = [{ id, name, fn }, ...client.fns.filter((other) => other.name !== name)];
      const sent: Sent = { destinationSocketId: client.socketId, destinationClientId: client.clientId, id, name, fn };
      const known = sendFn.findIndex((other) => other.name === name && other.destinationClientId === client.clientId);
      if (known < 0) sendFn.push(sent);
      else sendFn[known] = sent;
      io.to(client.socketId).emit('new-fun', sent);
    }
  });
});

http.listen(0, '127.0.0.1', () => {
  reportReady(`${tls === null ? 'http' : 'https'}://127.0.0.1:${(http.address() as AddressInfo).port}`);
});
