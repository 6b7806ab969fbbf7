export { DenoSandbox, type DenoSandboxOptions } from './deno-sandbox.ts';
export { findDeno } from './deno-binary.ts';
