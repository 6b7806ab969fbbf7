import { WebSocket } from 'ws';
import { reportReady } from '../child.ts';

const { url, functionName }: { url: string; functionName: string } = JSON.parse(process.argv[2] ?? '{}');
const socket = new WebSocket(url, { perMessageDeflate: false });
socket.on('open', () => socket.send(JSON.stringify({ type: 'register', fname: functionName })));
socket.on('message', (data) => {
  const message: { type?: string; seek: number; params: unknown } = JSON.parse(String(data));
  if (message.type === 'registered') return reportReady('ready');
  socket.send(JSON.stringify({ type: 'answer', seek: message.seek, answer: message.params }));
});
