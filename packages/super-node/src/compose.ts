import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Cosignatures, Ledger } from '@orb/ledger';
import { openEmbeddedLedger } from '@orb/ledger/embedded';
import { CosignatureBook, httpCosignatures, openCosigner, startCosigning } from '@orb/ledger/finality';
import { EvidenceFiles, httpUpstream, openReplicaLedger, Refusals, startSpreading, type Evidence } from '@orb/ledger/replica';
import { WssTransport } from '@orb/link/wss';
import { chainId, KnownSignatures, limits, OrbError, OwnTransactions, type verify } from '@orb/protocol';
import { openDiskStore } from '@orb/store/disk';
import { assembleSuperNode, type RunningSuperNode } from './assemble.ts';
import { splitListen, type SuperNodeConfig } from './config.ts';
import { readNetworkFolder, type NetworkFolder } from './init.ts';
import type { Log } from './log.ts';

/** All owners' sealed boxes together. */
const boxesQuotaBytes = 512 * 1024 * 1024;

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
  const boxes = await openDiskStore({
    directory: join(config.folder, 'secrets', 'boxes'),
    quotaBytes: boxesQuotaBytes,
    maxBlobBytes: limits.secretBoxBytes,
  });
  const { log } = dependencies;
  // What settlement has verified, or made itself, the ledger need not work out again.
  const { verify } = new KnownSignatures();
  const own = new OwnTransactions();
  const { ledger, refusals } = await openLedger(config, keys, { log, verify, own });
  let cosigned: Cosigned | undefined;
  try {
    cosigned = await openCosignatures(config, { ledger, keys, log });
    const { cosignatures } = cosigned;
    const running = await assembleSuperNode(config, {
      ledger,
      cosignatures,
      refusals,
      store,
      boxes,
      transport,
      keys,
      gatewayTls,
      log,
      verify,
      own,
    });
    const spreading = startSpreading({
      ledger,
      refusals,
      self: running.id,
      onTrouble: ({ message }) => log.warn('another super node was not told of a refused block', { message }),
    });
    const stop = async () => {
      await spreading.stop();
      await cosigned?.stop();
      await running.stop();
    };
    return { ...running, stop };
  } catch (error) {
    await cosigned?.stop();
    await cosigned?.cosignatures.close();
    await ledger.close();
    throw error;
  }
}

interface Cosigned {
  readonly cosignatures: Cosignatures;
  /** Ends this super node's own co-signing. */
  stop(): Promise<void>;
}

/**
 * The orderer keeps what peers co-sign; who follows it passes on what the orderer keeps. Each co-signs with its own key,
 * which counts while the ledger lists its owner as a peer.
 */
async function openCosignatures(
  config: SuperNodeConfig,
  { ledger, keys, log }: { readonly ledger: Ledger; readonly keys: NetworkFolder; readonly log: Log },
): Promise<Cosigned> {
  const cosignatures =
    config.ledger.mode === 'embedded'
      ? await CosignatureBook.open({ folder: join(config.folder, 'cosignatures'), ledger })
      : httpCosignatures({ url: config.ledger.upstream });
  let said = '';
  const onTrouble = ({ code, message }: OrbError) => {
    // Once, not at every try: most super nodes are no peers, and do well without.
    if (message !== said) log.info('blocks are not co-signed', { code, message });
    said = message;
  };
  const cosigner = await openCosigner(join(config.folder, 'ledger'), keys.superNode, ledger);
  const { stop } = startCosigning({ ledger, cosigner, sink: cosignatures, onTrouble });
  return { cosignatures, stop };
}

/** How long a replica that starts waits for what it has missed. Later it goes on with what it has. */
const catchUpMs = 10_000;

interface OpenedLedger {
  readonly ledger: Ledger;
  readonly refusals: Refusals;
}

async function openLedger(
  config: SuperNodeConfig,
  { genesis, orderer }: NetworkFolder,
  { log, verify: check, own }: { readonly log: Log; readonly verify: typeof verify; readonly own: OwnTransactions },
): Promise<OpenedLedger> {
  const folder = join(config.folder, 'ledger');
  if (config.ledger.mode === 'embedded') {
    if (!orderer) {
      throw new OrbError('invalid-request', {
        message: `${config.folder} does not hold the key that orders this ledger.`,
        hint: 'Follow the super node that has it: set ledger to {"mode": "replica", "upstream": "https://…"}.',
      });
    }
    const ledger = await openEmbeddedLedger({ folder, genesis, ordererKey: orderer, verify: check, own });
    const files = await EvidenceFiles.open(folder);
    const onSecondBlock = async (evidence: Evidence) => {
      const file = await files.keep(evidence);
      log.error('another has a second block that this orderer has signed', { height: evidence.height, evidence: file });
    };
    return { ledger, refusals: new Refusals({ ledger, clock: Date.now, onSecondBlock }) };
  }
  const { upstream: url, begin, trusted } = config.ledger;
  const replica = await openReplicaLedger({
    folder,
    genesis,
    verify: check,
    begin,
    trusted,
    onWhole: () => log.info('the ledger is here from its first block, and has led to the snapshot that this copy began with'),
    upstream: httpUpstream({ url, chain: chainId(genesis) }),
    backOff: { firstMs: 100, mostMs: 2_000 },
    onTrouble: ({ code, message }) => log.warn('the ledger cannot be followed', { upstream: url, code, message }),
    onRefused: ({ height, reason }, file) => log.error('a block of the orderer is wrong', { height, reason, evidence: file }),
  });
  const until = Date.now() + catchUpMs;
  const behind = () => replica.status.state === 'connecting' || replica.head.height < (replica.status.upstreamHeight ?? 0);
  while (behind() && Date.now() < until) await new Promise((resolve) => setTimeout(resolve, 20));
  return { ledger: replica, refusals: replica.refusals };
}

function readTls({ certFile, keyFile }: { certFile: string; keyFile: string }): { cert: string; key: string } {
  try {
    return { cert: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8') };
  } catch (cause) {
    throw new OrbError('invalid-request', { message: `The certificate ${certFile} or its key ${keyFile} cannot be read.`, cause });
  }
}
