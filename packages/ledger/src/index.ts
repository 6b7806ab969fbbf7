export * from './port.ts';
export { createGenesis, defaultParameters, parseGenesis, type GenesisOptions } from './genesis.ts';
export { auditSupply, type SupplyAudit } from './contracts/conservation.ts';
export { execute, type Execution } from './contracts/execute.ts';
export type { Environment } from './contracts/context.ts';
export { KeyNotLoaded, LoadedView, type View, type Writes } from './contracts/state.ts';
export { splitCost, type Split } from './contracts/job-book.ts';
export { StateTree } from './state-tree.ts';
