/** What strangers' code will try, one row of the table of the escape suite for each. */
export const tries = [
  'files',
  'symlinks',
  'environment',
  'other processes',
  'signals',
  'TCP sockets',
  'UDP sockets',
  'unix sockets',
  'DNS',
  'other programs',
  'a fork bomb',
  'native code (FFI)',
  'WebGPU',
  'localStorage and caches',
  'workers',
  'the inspector',
  'a heap bomb',
  'an ArrayBuffer bomb',
  'a WASM memory bomb',
  'an endless loop, synchronous',
  'an endless loop, asynchronous',
  'an endless loop of microtasks',
  'an endless regular expression',
  'floods of output',
  'forged frames on standard output',
  'giant frames',
  'malformed frames',
  'timing out during start-up',
  'huge output',
  'hostile output',
  'zip bombs as request bodies',
  'work left behind after the answer',
  'another tenant’s data on a reused instance',
  'a socket or files swapped for symlinks to the host’s',
] as const;

export type Try = (typeof tries)[number];

/** One way to try it, and how it must end. */
export interface Attempt {
  /** What is done; one of a try may be left without. */
  readonly name?: string;
  /** What stops it. */
  readonly layer: string;
  /** The body of a handler, a module in text, a script: as the runtime has it. */
  readonly code: string;
  /** Runs before the handler is there. */
  readonly before?: string;
  /** @default function-failed; ok where it simply gets nothing */
  readonly outcome?: string | RegExp;
  /** The words that the caller is told; wanted for every outcome but `ok`. */
  readonly error?: RegExp;
  /** What it gets to see. */
  readonly says?: RegExp;
  /** @default 10,000 */
  readonly timeoutMs?: number;
  /** Nobody reads the answer. */
  readonly unread?: true;
  /** The body of the call unfolds from half a megabyte to half a gigabyte. */
  readonly bomb?: true;
  /** It does not come to a call: the error's code when it is loaded. */
  readonly loads?: string;
}

/** What one attempt cannot show stands in a test of its own, of this title. */
export interface Proof {
  readonly layer: string;
  readonly test: string;
}

/** What one runtime does with every try; words where it makes no sense there. */
export type Column = Readonly<Record<Try, readonly (Attempt | Proof)[] | string>>;

export const isAttempt = (each: Attempt | Proof): each is Attempt => 'code' in each;

/** A test's title. */
export const titleOf = (what: Try, { name, layer }: Attempt): string => `${what}${name ? `, ${name}` : ''}: stopped by ${layer}`;

/** What of a column is attempted, in the order of the list. @param first only one way for each try */
export function attemptsOf(column: Column, { first = false } = {}): { readonly what: Try; readonly attempt: Attempt }[] {
  return tries.flatMap((what) => {
    const cell = column[what];
    const attempts = typeof cell === 'string' ? [] : cell.filter(isAttempt);
    return (first ? attempts.slice(0, 1) : attempts).map((attempt) => ({ what, attempt }));
  });
}
