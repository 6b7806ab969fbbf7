/** Types of harness.js for the in-process adapter. */
export interface HarnessPlatform {
  write(bytes: Uint8Array): void;
  load(code: Uint8Array, env: Readonly<Record<string, string>>): Promise<unknown>;
  readonly scope: { run(value: unknown, work: () => void): void; get(): unknown };
  format(values: unknown[]): string;
  tidy(): void;
}
export interface Harness {
  readonly reader: { push(chunk: Uint8Array): void };
  flush(): void;
  atRest(): boolean;
  ready(): void;
  log(level: number, values: unknown[]): void;
  uncaught(thrown: unknown): void;
  fetch(input: unknown, init?: unknown): Promise<unknown>;
}
export declare function createHarness(platform: HarnessPlatform): Harness;
