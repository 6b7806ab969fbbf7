import { io, type Socket } from 'socket.io-client';
import { childArgument, reportReady } from '../child.ts';

interface ProviderArgument {
  readonly url: string;
  readonly certificate?: string;
  readonly functionName: string;
  /** Clients of the hub that this process plays. */
  readonly clients: number;
  /** Functions that are deployed, the echo function among them. */
  readonly functions: number;
}

// The seed's client: registers, deploys the echo function, and answers `answer-seek` by running the function's source.
// A source is compiled once: anything slower would be the bench's fault, not the seed's.
type Fn = (params: unknown) => unknown;
interface Job {
  readonly fnobj: { readonly id: string; readonly fn: string };
  readonly params: unknown;
}

const { url, certificate, functionName, clients, functions } = childArgument<ProviderArgument>();
const compiled = new Map<string, Fn>();

function answer({ fnobj, params }: Job, acknowledge: (answer: unknown) => void): void {
  let fn = compiled.get(fnobj.fn);
  if (!fn) {
    // oxlint-disable-next-line typescript/no-implied-eval, typescript/no-unsafe-call -- this is what the seed's client does: the hub sends source.
    fn = new Function(`return (${fnobj.fn})`)() as Fn;
    compiled.set(fnobj.fn, fn);
  }
  acknowledge(fn(params));
}

/** Resolves when the hub knows the client. */
function register(clientId: string): Promise<Socket> {
  const socket = io(url, { transports: ['websocket'], forceNew: true, ...(certificate !== undefined && { ca: certificate }) });
  socket.on('answer-seek', answer);
  return new Promise((resolve) => {
    socket.on('register', () => {
      socket.emit('reg-req', { clientid: clientId });
      resolve(socket);
    });
  });
}

/** The hub gives every function to every client that it knows. Resolves when it has come back from there. */
function deploy(from: Socket, name: string, fn: string): Promise<void> {
  return new Promise((resolve) => {
    from.once('new-fun', () => resolve());
    from.emit('deploy', { clientId: 'provider-0', id: name, name, fn });
  });
}

const sockets = await Promise.all(Array.from({ length: clients }, (_, index) => register(`provider-${index}`)));
const [first] = sockets;
// Half of the others before and half after: the hub looks through its list from the front.
const before = Math.floor((functions - 1) / 2);
for (let index = 0; index < functions; index++) {
  if (index === before) await deploy(first!, functionName, '(params) => params');
  else await deploy(first!, `other-${index}`, `() => ${index}`);
}
reportReady('ready');
