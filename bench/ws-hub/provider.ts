import { WebSocket } from 'ws';
import { childArgument, reportReady } from '../child.ts';

const { url, functionName } = childArgument<{ url: string; functionName: string }>();
const socket = new WebSocket(url, { perMessageDeflate: false });
socket.on('open', () => socket.send(JSON.stringify({ type: 'register', fname: functionName })));
socket.on('message', (data) => {
  const message = JSON.parse((data as Buffer).toString()) as { type?: string; seek: number; params: unknown };
  if (message.type === 'registered') return reportReady('ready');
  socket.send(JSON.stringify({ type: 'answer', seek: message.seek, answer: message.params }));
});
