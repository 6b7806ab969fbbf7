/** Types of load.js for the host's side. */
export declare const commonJsMark: '/*! orb bundle: commonjs */';
export declare function loadBundle(
  code: Uint8Array,
  platform: { builtin(name: string): unknown; importModule(source: string): Promise<unknown> },
): Promise<unknown>;
