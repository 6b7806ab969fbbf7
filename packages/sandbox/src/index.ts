export * from './bundle-format.ts';
export * from './port.ts';
export * from './instance-pool.ts';
export * from './sandbox-by-kind.ts';
export { compileWasm } from './harness/wasm-format.js';
export * from './machine-facts.ts';
