import { io } from 'socket.io-client';
import { reportReady } from '../child.ts';

// The seed's client: registers, deploys the echo function, and answers `answer-seek` by running the function's source.
// A source is compiled once: anything slower would be the bench's fault, not the seed's.
type Fn = (params: unknown) => unknown;
interface Job {
  readonly fnobj: { readonly id: string; readonly fn: string };
  readonly params: unknown;
}

const { url, certificate, functionName }: { url: string; certificate?: string; functionName: string } = JSON.parse(process.argv[2] ?? '{}');
const compiled = new Map<string, Fn>();
const socket = io(url, { transports: ['websocket'], ...(certificate !== undefined && { ca: certificate }) });

socket.on('answer-seek', ({ fnobj, params }: Job, acknowledge: (answer: unknown) => void) => {
  let fn = compiled.get(fnobj.fn);
  if (!fn) {
    fn = new Function(`return (${fnobj.fn})`)() as Fn;
    compiled.set(fnobj.fn, fn);
  }
  acknowledge(fn(params));
});
socket.on('register', () => {
  socket.emit('reg-req', { clientid: 'provider' });
  socket.emit('deploy', { clientId: 'provider', id: '1', name: functionName, fn: '(params) => params' });
});
socket.once('new-fun', () => reportReady('ready'));
