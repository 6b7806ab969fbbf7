export { MemorySandbox } from './memory-sandbox.ts';
