import type { Caller, CancelSignal, Hex32, IsolationTier, Outcome } from '@orb/protocol';

/** Runs strangers' code where it can do no harm. One adapter per kind of engine. */
export interface Sandbox {
  /** What this machine can enforce, found by trying it. */
  probe(): Promise<SandboxReport>;
  /**
   * Starts an instance and loads the code, from a warm spare where there is one. Everything until it can take calls
   * is set-up and is never billed.
   * @throws OrbError `load-failed` with the function's own message, and in `details.stack` its stack, for its owner alone; `timed-out`, `out-of-memory`, `sandbox-failed`
   */
  start(program: Program): Promise<Instance>;
  /**
   * Fetches what {@link start} will need beyond the code, such as an image, so that no job waits for it. Absent where
   * there is nothing to fetch. @throws OrbError `load-failed` when it can never be had, `store-full`, `sandbox-failed`
   */
  prepare?(program: Program): Promise<void>;
  /**
   * How much memory processes that hold no program yet may take, MiB; told again whenever it changes. Until then, and
   * where it is absent, as much as they want.
   */
  allowSpares?(memoryMiB: number): void;
  /**
   * What the owner lends, as far as this engine enforces it. May be called again at any time.
   * @throws OrbError `not-supported` for what functions cannot be held to here; then nothing has changed
   */
  limit?(lent: LentLimits): Promise<void>;
  /** What is being fetched now; nothing where it is absent. */
  fetching?(): readonly PullProgress[];
  /** CPU time of all its processes so far, those that have ended too, microseconds. */
  cpuUs?(): number;
  /** Ends every instance and spare. */
  close(): Promise<void>;
}

/** How far the fetching of an image is. */
export interface PullProgress {
  readonly image: string;
  /** Compressed bytes that are here. */
  readonly receivedBytes: number;
  /** Compressed bytes in all, as the image's manifest says; 0 where it does not. */
  readonly totalBytes: number;
}

/** What the owner of a computer lends to all functions together. */
export interface LentLimits {
  readonly cores: number;
  readonly memoryMiB: number;
  /** Beside the owner's own programs. */
  readonly priority: 'lowest' | 'normal';
  /** Disk for images. */
  readonly imageDiskMiB: number;
  /** Cores that one container may use. */
  readonly containerCores: number;
  /** The engine's runtime for functions; its own where undefined. */
  readonly containerRuntime: string | undefined;
  /** Fetch images only from registries that the owner has listed. */
  readonly onlyListedRegistries: boolean;
}

export interface SandboxReport {
  readonly tier: IsolationTier;
  readonly runtimes: readonly string[];
  /** Each layer: what it stops, whether it is on, and how to switch it on where it is not. */
  readonly layers: readonly { readonly name: string; readonly active: boolean; readonly stops: string; readonly remedy?: string }[];
}

/** A version's code and its limits. */
export type Program = BundleProgram | ImageProgram | WasmProgram;

interface AnyProgram {
  /** SHA-256 of the code. */
  readonly sha256: Hex32;
  readonly code: Uint8Array;
  readonly memoryMiB: number;
  /** Bound on loading. */
  readonly startTimeoutMs: number;
  /** What it finds in its environment. @default nothing */
  readonly env?: Readonly<Record<string, string>>;
}

/** One JavaScript file. */
export interface BundleProgram extends AnyProgram {
  readonly kind: 'bundle';
  /** Which export answers; `auto` tries `fetch`, then `default`, then `handler`. */
  readonly handler: string;
}

/** A WebAssembly module: a command of WASI preview 1, or a reactor (docs/reference/wasm.md). It runs one call at a time. */
export interface WasmProgram extends AnyProgram {
  readonly kind: 'wasm';
  /** The export that answers; `auto` takes `_start`, else `handle`. */
  readonly handler: string;
}

/** A container image. Its code is its own manifest, so that `sha256` is its digest. */
export interface ImageProgram extends AnyProgram {
  readonly kind: 'image';
  /** `REGISTRY/NAME@sha256:…` with the digest above. */
  readonly image: string;
  /** `job`: a container for each call, from standard input to standard output. `http`: one that serves on `$PORT`. */
  readonly handler: 'job' | 'http';
  /** How a server is asked whether it is well; where it is left out, as the image's own label says. */
  readonly health?: HealthCheck;
}

/** A path that answers 2xx or 3xx while a server is well, and how often it is asked while it has calls. */
export interface HealthCheck {
  readonly path: string;
  readonly everyMs: number;
}

/** One running process that holds one version for one tenant. It is never given to another. */
export interface Instance {
  /** Jobs under way in it. */
  readonly active: number;
  /** False once it has ended or is to be replaced: give it no new job. */
  readonly accepting: boolean;
  /** Private memory of the process in KiB as last measured: what it has beyond the engine's shared pages. */
  readonly memoryKiB: number;
  /**
   * Runs one job. Resolves when the response's head is known; the body may still be made.
   * Never rejects for what the function does: that is an outcome. @throws OrbError `sandbox-failed`
   */
  invoke(job: Invocation): Promise<InvocationResult>;
  /** Kills the process at once; jobs under way end as `node-failed`. */
  kill(): Promise<void>;
  /** Resolves when the process has ended, whatever the reason. */
  readonly ended: Promise<void>;
}

export interface Invocation {
  /** Unique among the jobs under way. */
  readonly job: string;
  readonly mode: 'http' | 'event';
  readonly method: string;
  /** Path and query as the function sees them. */
  readonly path: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Uint8Array | AsyncIterable<Uint8Array>;
  readonly timeoutMs: number;
  /** What the handler's `ctx` shows. */
  readonly context: InvocationContext;
  /** Bytes of response body; one that the function has whole never has more than limits.bodyBytes. @default limits.bodyBytes */
  readonly maxResponseBytes?: number;
  /** Aborts when the caller has gone: the handler's `ctx.signal` fires, and the outcome is `cancelled`. */
  readonly signal?: CancelSignal;
  /** Calls another function for this one; without it a function can call none. @throws OrbError whose words the function gets */
  call?(nested: NestedCall): Promise<NestedAnswer>;
  /** Makes a request of the function's `fetch`; without it a function reaches nothing. @throws OrbError whose words the function gets */
  fetch?(request: WebRequest): Promise<WebResponse>;
  /** Lines the function writes with `console.*`, bounded in number and length. */
  log?(level: 'debug' | 'info' | 'warn' | 'error', line: string): void;
}

/** A request to the network that a function makes by `fetch`. Every part of it is a stranger's. */
export interface WebRequest {
  readonly url: string;
  readonly method: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly redirect: 'follow' | 'error' | 'manual';
  /** Whole where it is short, else its pieces as they come. */
  readonly body?: Uint8Array | AsyncIterable<Uint8Array>;
  /** Bytes of a body in pieces, where the function says. */
  readonly length?: number;
  /** Aborts when the function gives it up, or when its job is over. */
  readonly signal: AbortSignal;
}

export interface WebResponse {
  /** Where it came from in the end. */
  readonly url: string;
  readonly redirected: boolean;
  readonly status: number;
  readonly statusText: string;
  readonly headers: readonly (readonly [string, string])[];
  /** Iterated once, no faster than the function reads. */
  readonly body: AsyncIterable<Uint8Array>;
}

/** A call of another function that a function makes by `ctx.call`. */
export interface NestedCall {
  /** `OWNER/NAME` */
  readonly target: string;
  /** The function id and the version that the function wants, where its descriptor says so. */
  readonly function: Hex32 | undefined;
  readonly version: Hex32 | undefined;
  readonly contentType: string | undefined;
  readonly body: Uint8Array;
  /** What is left of the caller's time, or less where it wants less. */
  readonly withinMs: number;
  /** Aborts when the caller is over. */
  readonly signal: CancelSignal;
}

export type NestedAnswer = Pick<InvocationResult, 'status' | 'headers'> & { readonly body: Uint8Array };

export interface InvocationContext {
  readonly call: string;
  readonly job: string;
  readonly attempt: number;
  /** `OWNER/NAME` */
  readonly function: string;
  readonly version: Hex32;
  readonly memoryMiB: number;
  /** Who made the call, where somebody knows. */
  readonly caller?: Caller;
}

export interface InvocationResult {
  readonly status: number;
  readonly headers: readonly (readonly [string, string])[];
  /** The whole body when it came in one piece, else its pieces as the function makes them. */
  readonly body: Uint8Array | AsyncIterable<Uint8Array>;
  /** True when the function makes the body as it goes; without it the body exists whole, even where it comes in pieces. */
  readonly streamed?: boolean;
  /** Resolves when the job is over, after the last byte of the body. */
  readonly finished: Promise<InvocationUsage>;
  /** The same, when it is over already. */
  readonly completed: InvocationUsage | undefined;
}

/** Measured by the host, not by the code. */
export interface InvocationUsage {
  /** What had to be set up after the request was handed over, microseconds; before `runUs`, and not billed. @default 0 */
  readonly setupUs?: number;
  readonly outcome: Exclude<Outcome, 'lost'>;
  /** The function's own error message, where the outcome is not `ok`. */
  readonly error?: string;
  /** The name of what the function threw, such as `TypeError`; as `errorName` of the protocol. */
  readonly errorType?: string;
  /**
   * Request handed over (where `setupUs` is given: set up) → response complete and everything given to `ctx.waitUntil` over, microseconds on a monotonic
   * clock.
   */
  readonly runUs: number;
  /** The job's share of the process's CPU time, microseconds; exact in sum, an estimate for one short job. */
  readonly cpuUs: number;
  /** Most private memory of the process while the job was in it. */
  readonly peakMemoryKiB: number;
}
