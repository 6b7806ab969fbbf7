export { ContainerSandbox } from './container-sandbox.ts';
export type { ContainerSandboxOptions, RegistryLogin } from './container-options.ts';
export { describeEngine } from './describe-engine.ts';
