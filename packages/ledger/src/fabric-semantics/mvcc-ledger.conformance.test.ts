import { ledgerConformance } from '../conformance.ts';
import { createMvccLedger } from './mvcc-ledger.ts';

ledgerConformance('fabric semantics', async (options) => (await createMvccLedger(options)).ledger);
