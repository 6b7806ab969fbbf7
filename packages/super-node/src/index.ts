export { parseSuperNodeConfig, superNodeConfigSchema, type SuperNodeConfig, type SuperNodeConfigInput } from './config.ts';
export type { RunningSuperNode } from './assemble.ts';
export { startSuperNode } from './compose.ts';
export { startLedgerGateway, type LedgerGatewayOptions } from './gateway/ledger-gateway.ts';
export { initNetwork, joinNetwork, readNetworkFolder, type InitOptions, type NetworkFolder } from './init.ts';
export { createLog, type Log } from './log.ts';
export type { Status } from './analytics/status.ts';
