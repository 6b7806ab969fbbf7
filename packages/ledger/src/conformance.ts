import { describe } from 'vitest';
import { accountabilityConformance } from './conformance/accountability.ts';
import { authorityConformance } from './conformance/authority.ts';
import { keysConformance } from './conformance/keys.ts';
import { portConformance } from './conformance/port.ts';
import { rewardsConformance } from './conformance/rewards.ts';
import { scenarioConformance } from './conformance/scenario.ts';
import { settlementConformance } from './conformance/settlement.ts';
import type { OpenLedger } from './conformance/stage.ts';

export type { OpenLedger } from './conformance/stage.ts';

/** What every engine must do alike. @param open gives an empty ledger; the suite closes it */
export function ledgerConformance(engine: string, open: OpenLedger): void {
  describe(`ledger conformance: ${engine}`, () => {
    portConformance(open);
    authorityConformance(open);
    settlementConformance(open);
    accountabilityConformance(open);
    keysConformance(open);
    rewardsConformance(open);
    scenarioConformance(open);
  });
}
