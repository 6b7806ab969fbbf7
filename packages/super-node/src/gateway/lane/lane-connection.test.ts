import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Arrivals } from '../../arrivals/arrivals.ts';
import { LaneConnection, type LaneWork } from './lane-connection.ts';

const call = (body: string) => `POST /fn/bob/echo HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
const turn = () => new Promise(setImmediate);

let near: Socket;
let far: Socket;
let answered: string[];
/** Bodies of calls for which there is no room. */
let noRoomFor: ReadonlySet<string>;
let refused: string[];

beforeEach(async () => {
  [answered, refused] = [[], []];
  noRoomFor = new Set();
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const taken = once(server, 'connection') as Promise<[Socket]>;
  near = connect((server.address() as { port: number }).port, '127.0.0.1');
  [far] = await taken;
  server.close();
});
afterEach(() => {
  near.destroy();
  far.destroy();
});

/** A connection beside so many others that nothing more may begin in this turn. */
function openLane(lookedAt: number): (text: string) => void {
  const work: LaneWork = {
    arrivals: new Arrivals({ atOnce: 0, lookedAt }, { nowMs: () => performance.now() }),
    refusal: ({ body }) => {
      const text = Buffer.from(body).toString();
      if (!noRoomFor.has(text)) return undefined;
      refused.push(text);
      return Buffer.from('HTTP/1.1 503 x\r\n\r\n');
    },
    answer: ({ body }, response) => {
      answered.push(Buffer.from(body).toString());
      response.writeHead(204, []);
      response.end();
    },
    handOver: (socket) => socket.destroy(),
    onClose: () => undefined,
    date: () => '',
  };
  new LaneConnection(far, work);
  return (text) => void far.emit('data', Buffer.from(text));
}

test('what there is no room for hears it at once; what there is room for waits for its turn', async () => {
  noRoomFor = new Set(['a', 'b']);
  const come = openLane(64);
  come(call('a') + call('b') + call('c') + call('a'));
  expect({ refused, answered }).toEqual({ refused: ['a', 'b'], answered: [] });
  await expect.poll(() => answered).toEqual(['c']);
  await expect.poll(() => refused).toEqual(['a', 'b', 'a']);
});

test('so many are looked at in one turn; the others wait for theirs', async () => {
  noRoomFor = new Set(['a', 'b', 'c']);
  const come = openLane(2);
  for (const body of ['a', 'b', 'c']) come(call(body));
  expect(refused).toEqual(['a', 'b']);
  await turn();
  await expect.poll(() => refused).toEqual(['a', 'b', 'c']);
});

test('a call that was looked at and had room is answered once, and refused when its turn finds none', async () => {
  const come = openLane(64);
  come(call('a'));
  expect({ refused, answered }).toEqual({ refused: [], answered: [] });
  noRoomFor = new Set(['a']);
  await expect.poll(() => refused).toEqual(['a']);
  noRoomFor = new Set();
  come(call('a'));
  await expect.poll(() => answered).toEqual(['a']);
  await turn();
  expect(answered).toEqual(['a']);
});
