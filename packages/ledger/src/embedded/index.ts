export { openEmbeddedLedger, type EmbeddedLedgerOptions } from './embedded-ledger.ts';
export { readGenesis } from './folder.ts';
export { readLog } from './read-log.ts';
