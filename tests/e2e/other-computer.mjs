// Runs a program with other files in the place of some of this computer's: in mount namespaces of its own, so that nobody
// else sees them. Words: JSON of [[FILE OR FOLDER, PLACE], …], then the program for Node and its words.
import { spawn } from 'node:child_process';

const [mounts, ...words] = process.argv.slice(2);
const script = [...JSON.parse(mounts).map(([from, to]) => `mount --bind '${from}' '${to}'`), 'exec "$@"'].join(' && ');
const argv = ['--mount', '--propagation', 'private', 'sh', '-c', script, 'sh', process.execPath, ...words];
const child = spawn('unshare', argv, { stdio: 'inherit' });
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
child.on('exit', (code, signal) => (signal ? process.kill(process.pid, signal) : process.exit(code ?? 1)));
