/** Where engines that are no process of ours can be reached. Plain data: it is sent to the process that measures. */
export interface Engines {
  readonly docker:
    | {
        readonly socketPath: string;
        /** `HOST:PORT` of the registry that holds the images below. */
        readonly registry: string;
        /** A Node server, and a command that copies its standard input. */
        readonly server: EngineImage;
        readonly job: EngineImage;
      }
    | undefined;
}

/** An image in the registry. */
export interface EngineImage {
  readonly reference: string;
  readonly digest: string;
  /** Its own manifest, as text. */
  readonly manifest: string;
}

/** One way of running a function: a sandbox of Orb's, or the engine below it without anything of ours. */
export interface Runtime {
  readonly id: string;
  /** As the table shows it. */
  readonly name: string;
  /** Why it cannot be measured here; undefined when it can. */
  missing(engines: Engines): string | undefined;
  open(engines: Engines): Promise<OpenRuntime>;
}

/** A runtime that is up in the process that measures it. */
export interface OpenRuntime {
  /** Waits until what is kept ready for the next start is ready. Absent where nothing is. */
  rest?(): Promise<void>;
  /** Starts the echo function, which has not run before, and calls it once; then it ends. `nothing`: with nothing kept ready. */
  startCold(from: 'spare' | 'nothing', body: Uint8Array): Promise<Uint8Array>;
  /** Starts an instance that stays; absent where every call starts one. */
  startWarm?(): Promise<WarmInstance>;
  close(): Promise<void>;
}

/** An instance that answers many calls. */
export interface WarmInstance {
  echo(body: Uint8Array): Promise<Uint8Array>;
  /** Calls that it takes at once. */
  readonly concurrency: number;
  /** The function makes so many bytes while they are read here; absent where an answer is always whole. */
  download?(bytes: number): AsyncIterable<Uint8Array>;
  /** The function reads so many bytes while they are made here. */
  upload?(bytes: number): Promise<void>;
  /** Memory of its own that the function's process has now, MiB. */
  memoryMiB(): number | Promise<number>;
  stop(): Promise<void>;
}

/** Why a runtime of containers cannot be measured. */
export function withoutDocker({ docker }: Engines): string | undefined {
  return docker ? undefined : 'no Docker Engine can be started here';
}
