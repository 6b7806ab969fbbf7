import type { Server, Socket } from 'node:net';
import { answerCall } from '../answer-call.ts';
import type { GatewayContext } from '../gateway-context.ts';
import { keepAliveS, LaneConnection, type LaneWork } from './lane-connection.ts';
import { RefusalBytes } from './refusal-bytes.ts';

type TakeSocket = (this: Server, socket: Socket) => void;

/**
 * The lane: plain calls of functions, straight from the socket. It stands before an HTTP server and takes each of its
 * connections first; the server gets those on which anything else is asked (decision 170).
 * @param event with which the server gets connections: `connection`, or `secureConnection` over TLS
 * @returns closes the lane's connections; to be called when the server closes
 */
export function openLane(server: Server, event: 'connection' | 'secureConnection', context: GatewayContext): () => void {
  const takeSocket = server.listeners(event) as TakeSocket[];
  const connections = new Set<LaneConnection>();
  let date = '';
  let dateMs = 0;
  const { arrivals, functions, functionLimit, scheduler } = context.calls;
  const refusals = new RefusalBytes({ date: () => work.date(), keepAliveS });
  const work: LaneWork = {
    arrivals,
    // What there is no room for is refused before anything else is done for it.
    refusal: ({ owner, name }, ip, late) => {
      const entry = functions.find(owner, name);
      const error =
        context.callLimit?.refusal(ip) ?? late ?? (entry && (functionLimit?.refusal(entry.record.id) ?? scheduler.refusal(entry, ip)));
      return error && refusals.of(error);
    },
    answer: ({ method, url, owner, name, headers, isEvent, body }, response, ip) =>
      void answerCall(
        { method, url, version: '1.1', owner, name, rawHeaders: headers, isEvent, ip, body, signed: undefined, identify: () => undefined },
        response,
        context,
      ),
    handOver: (socket) => takeSocket.forEach((take) => take.call(server, socket)),
    onClose: (connection) => connections.delete(connection),
    date: () => {
      const now = context.calls.nowMs();
      if (now - dateMs >= 1_000) {
        dateMs = now - (now % 1_000);
        date = new Date(now).toUTCString();
      }
      return date;
    },
  };
  server.removeAllListeners(event);
  server.on(event, (socket: Socket) => connections.add(new LaneConnection(socket, work)));
  return () => {
    for (const connection of connections) connection.destroy();
  };
}
