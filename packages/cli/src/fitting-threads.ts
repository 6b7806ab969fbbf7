/** Commands that serve: what their event loop stands still for, calls wait for. */
const servers: ReadonlySet<string> = new Set(['supernode start', 'node start']);
const flag = '--v8-pool-size';
/** How many Node gives V8 by itself, whatever the machine has. */
const usual = 4;

/** How a process was started, and on what. */
export interface Start {
  /** Without the program and its file. */
  readonly args: readonly string[];
  /** What was said to Node itself: on its command line, and in `NODE_OPTIONS`. */
  readonly nodeArgs: readonly string[];
  readonly cores: number;
}

/**
 * The flag that gives V8 as many threads as fit beside the event loop, where Node gives it too many. With four on two cores a
 * collection waits for those that have no core: decision 322. Undefined where they fit, where somebody has said how many there
 * are to be, and for commands that do not serve.
 */
export function fittingThreads({ args, nodeArgs, cores }: Start): string | undefined {
  if (!servers.has(args.slice(0, 2).join(' ')) || cores > usual) return undefined;
  if (nodeArgs.some((argument) => argument.includes(flag))) return undefined;
  return `${flag}=${Math.max(1, cores - 1)}`;
}
