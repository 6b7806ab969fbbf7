export { addressKey } from './address-key.ts';
export { JsonText } from './json-text.ts';
export * from './keep-linked.ts';
export { defaultLinkSettings, linkLimits, type LinkSettings } from './link-limits.ts';
export * from './port.ts';
