export { ContainerSandbox } from './container-sandbox.ts';
export type { ContainerSandboxOptions, PullProgress, RegistryLogin } from './container-options.ts';
export { describeEngine } from './describe-engine.ts';
