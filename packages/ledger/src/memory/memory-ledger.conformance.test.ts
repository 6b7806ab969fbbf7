import { ledgerConformance } from '../conformance.ts';
import { createMemoryLedger } from './memory-ledger.ts';

ledgerConformance('memory', createMemoryLedger);
