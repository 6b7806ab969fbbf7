export * from './bundle-format.ts';
export * from './port.ts';
