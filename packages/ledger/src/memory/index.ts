export { createMemoryLedger, type MemoryLedgerOptions } from './memory-ledger.ts';
