/** Types of wire.js for the host's side. */
export declare const toFunction: {
  readonly load: 1;
  readonly call: 2;
  readonly body: 3;
  readonly bodyEnd: 4;
  readonly abort: 5;
  readonly credit: 6;
  readonly ping: 7;
  readonly told: 8;
  readonly fetch: 9;
  readonly tidy: 10;
};
export declare const toHost: {
  readonly ready: 65;
  readonly loaded: 66;
  readonly loadFailed: 67;
  readonly answer: 68;
  readonly head: 69;
  readonly chunk: 70;
  readonly end: 71;
  readonly failed: 72;
  readonly log: 73;
  readonly credit: 74;
  readonly pong: 75;
  readonly settled: 76;
  readonly ask: 77;
  readonly fetch: 78;
  readonly tidied: 79;
};
/** What a `fetch` frame says. */
export declare const fetchOps: { readonly start: 0; readonly piece: 1; readonly end: 2; readonly credit: 3; readonly abort: 4 };
export declare const settledFlag: 1;
export declare const wholeFlag: 2;
export declare const bufferedBytes: number;
export declare const faults: readonly ['function-failed', 'bad-response', 'out-of-memory', 'response-too-large'];
export declare const logLevels: readonly ['debug', 'info', 'warn', 'error'];
export declare const headerBytes: 9;
export declare const inlineBytes: number;
export declare const chunkBytes: number;
export declare const windowBytes: number;
/** What a piece of a response counts against the window. */
export declare function pieceCost(bytes: number): number;
export declare const maxFrameFromFunction: number;
export declare const maxFrameFromHost: number;
export declare const maxAskBytes: number;
export declare const maxAsks: number;
export declare const maxFetches: number;
export declare const maxFetchesAtOnce: number;
export declare const logLimits: { readonly lines: number; readonly bytes: number; readonly lineBytes: number };
export declare function readU32(bytes: Uint8Array, at: number): number;
export declare function writeU32(bytes: Uint8Array, at: number, value: number): void;
export declare function u32(value: number): Uint8Array;
/** Cuts a stream of bytes into frames. Holds at most one unfinished frame. */
export declare class FrameReader {
  constructor(maxBytes: number, onFrame: (type: number, job: number, payload: Uint8Array) => void);
  /** @throws RangeError for a length that no frame has, and whatever `onFrame` throws */
  push(chunk: Uint8Array): void;
}
