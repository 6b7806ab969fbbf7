import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openEmbeddedLedger } from '@orb/ledger/embedded';
import { WssTransport } from '@orb/link/wss';
import { OrbError } from '@orb/protocol';
import { openDiskStore } from '@orb/store/disk';
import { assembleSuperNode, type RunningSuperNode } from './assemble.ts';
import { splitListen, type SuperNodeConfig } from './config.ts';
import { readNetworkFolder } from './init.ts';
import type { Log } from './log.ts';

/** Starts a super node on this computer from its folder: embedded ledger, code on disk, links over secure WebSockets. */
export async function startSuperNode(config: SuperNodeConfig, dependencies: { readonly log: Log }): Promise<RunningSuperNode> {
  const keys = readNetworkFolder(config.folder);
  const gatewayTls = config.gateway.tls && readTls(config.gateway.tls);
  const linkTls = config.links.tls && readTls(config.links.tls);
  const transport = new WssTransport({
    ...splitListen(config.links.listen),
    ...(linkTls && { certificate: { certificate: linkTls.cert, privateKey: linkTls.key } }),
    ...(config.links.address !== undefined && { publicAddress: config.links.address }),
  });
  const store = await openDiskStore({ directory: join(config.folder, 'code'), quotaBytes: config.codeQuotaMiB * 1024 * 1024 });
  const ledger = await openEmbeddedLedger({ folder: join(config.folder, 'ledger'), genesis: keys.genesis, ordererKey: keys.orderer });
  try {
    return await assembleSuperNode(config, { ledger, store, transport, keys, gatewayTls, log: dependencies.log });
  } catch (error) {
    await ledger.close();
    throw error;
  }
}

function readTls({ certFile, keyFile }: { certFile: string; keyFile: string }): { cert: string; key: string } {
  try {
    return { cert: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8') };
  } catch (cause) {
    throw new OrbError('invalid-request', { message: `The certificate ${certFile} or its key ${keyFile} cannot be read.`, cause });
  }
}
