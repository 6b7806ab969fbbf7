/**
 * Names of headers that belong to one connection and not to the message it carries (RFC 9110 section 7.6.1): whoever
 * passes a message on leaves them out.
 */
export const connectionHeaders: readonly string[] = [
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
];
