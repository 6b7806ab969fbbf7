import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Ledger } from '@orb/ledger';
import { openEmbeddedLedger } from '@orb/ledger/embedded';
import { CosignatureBook } from '@orb/ledger/finality';
import { httpUpstream, openReplicaLedger } from '@orb/ledger/replica';
import { WssTransport } from '@orb/link/wss';
import { chainId, OrbError } from '@orb/protocol';
import { openDiskStore } from '@orb/store/disk';
import { assembleSuperNode, type RunningSuperNode } from './assemble.ts';
import { splitListen, type SuperNodeConfig } from './config.ts';
import { readNetworkFolder, type NetworkFolder } from './init.ts';
import type { Log } from './log.ts';

/** Starts a super node on this computer from its folder: its ledger, code on disk, links over secure WebSockets. */
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
  const ledger = await openLedger(config, keys, dependencies.log);
  let cosignatures: CosignatureBook | undefined;
  try {
    cosignatures = await CosignatureBook.open({ folder: join(config.folder, 'cosignatures'), peers: config.peers, ledger });
    return await assembleSuperNode(config, { ledger, cosignatures, store, transport, keys, gatewayTls, log: dependencies.log });
  } catch (error) {
    await cosignatures?.close();
    await ledger.close();
    throw error;
  }
}

/** How long a replica that starts waits for what it has missed. Later it goes on with what it has. */
const catchUpMs = 10_000;

async function openLedger(config: SuperNodeConfig, { genesis, orderer }: NetworkFolder, log: Log): Promise<Ledger> {
  const folder = join(config.folder, 'ledger');
  if (config.ledger.mode === 'embedded') {
    if (!orderer) {
      throw new OrbError('invalid-request', {
        message: `${config.folder} does not hold the key that orders this ledger.`,
        hint: 'Follow the super node that has it: set ledger to {"mode": "replica", "upstream": "https://…"}.',
      });
    }
    return openEmbeddedLedger({ folder, genesis, ordererKey: orderer });
  }
  const { upstream: url } = config.ledger;
  const replica = await openReplicaLedger({
    folder,
    genesis,
    upstream: httpUpstream({ url, chain: chainId(genesis) }),
    backOff: { firstMs: 100, mostMs: 2_000 },
    onTrouble: ({ code, message }) => log.warn('the ledger cannot be followed', { upstream: url, code, message }),
    onRefused: ({ height, reason }, file) => log.error('a block of the orderer is wrong', { height, reason, evidence: file }),
  });
  const until = Date.now() + catchUpMs;
  const behind = () => replica.status.state === 'connecting' || replica.head.height < (replica.status.upstreamHeight ?? 0);
  while (behind() && Date.now() < until) await new Promise((resolve) => setTimeout(resolve, 20));
  return replica;
}

function readTls({ certFile, keyFile }: { certFile: string; keyFile: string }): { cert: string; key: string } {
  try {
    return { cert: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8') };
  } catch (cause) {
    throw new OrbError('invalid-request', { message: `The certificate ${certFile} or its key ${keyFile} cannot be read.`, cause });
  }
}
