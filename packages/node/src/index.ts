export { startNode } from './compose.ts';
export type { NodeLog } from './lent-node.ts';
export type { NodeConfig } from './node-config.ts';
export type { NodeStatus, SuperNodeStatus } from './node-status.ts';
export { controlNode } from './owner-control/control-node.ts';
export type { ControlRequest } from './owner-control/control-protocol.ts';
export type { RunningNode } from './running-node.ts';
