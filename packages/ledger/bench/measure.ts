import { measureLifecycles } from './lifecycles.ts';
import { fillAndCrash, reopen } from './on-disk.ts';
import { measureRawLimits } from './raw-limits.ts';
import { shapes } from './workload.ts';

/*
 * One measurement in a process of its own, which `pinned.ts` starts: its name and arguments; the last line of its output
 * is what it found, as JSON. It ends at once, without closing what is open.
 */
const [name, ...args] = process.argv.slice(2);
const measurements: Record<string, () => Promise<unknown>> = {
  raw: () => measureRawLimits(),
  lifecycles: () => measureLifecycles(shapes[Number(args[0])]!, Number(args[1])),
  fill: () => fillAndCrash(args[0]!, Number(args[1])),
  reopen: () => reopen(args[0]!, { checkpoint: args[1] === 'checkpoint' }),
};
const found = JSON.stringify(await measurements[name!]!());
process.stdout.write(`${found}\n`, () => process.kill(process.pid, 'SIGKILL'));
