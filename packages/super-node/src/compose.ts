import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { startChangeWatch } from '@orb/ledger/change';
import { startSpreading } from '@orb/ledger/replica';
import { WssTransport } from '@orb/link/wss';
import { KnownSignatures, limits, OrbError, OwnTransactions, superNodeId } from '@orb/protocol';
import { openDiskStore } from '@orb/store/disk';
import { assembleSuperNode, type RunningSuperNode } from './assemble.ts';
import { openLedgerSide } from './compose-ledger.ts';
import { splitListen, type SuperNodeConfig } from './config.ts';
import { readNetworkFolder } from './init.ts';
import type { Log } from './log.ts';
import { startingAgain } from './starting-again.ts';

/** All owners' sealed boxes together. */
const boxesQuotaBytes = 512 * 1024 * 1024;

/**
 * Starts a super node on this computer from its folder: its ledger, code on disk, links over secure WebSockets. Where a
 * change of the ledger's orderer gives it another part in that, it starts again by itself, at the same addresses.
 */
export function startSuperNode(config: SuperNodeConfig, dependencies: { readonly log: Log }): Promise<RunningSuperNode> {
  return startingAgain(config, dependencies, startOnce);
}

async function startOnce(
  config: SuperNodeConfig,
  { log, again }: { readonly log: Log; readonly again: () => void },
): Promise<RunningSuperNode> {
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
  // What settlement has verified, or made itself, the ledger need not work out again.
  const { verify } = new KnownSignatures();
  const own = new OwnTransactions();
  const side = await openLedgerSide(config, keys, { log, verify, own, again });
  const { ledger, refusals, cosignatures, desk, onChange } = side;
  try {
    const running = await assembleSuperNode(config, {
      ledger,
      cosignatures,
      refusals,
      desk,
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
    const watch = startChangeWatch({
      ledger,
      self: superNodeId(keys.superNode.publicKey),
      onChange,
      onTrouble: ({ code, message }) =>
        log.warn('another super node told of a change of the orderer that does not hold', { code, message }),
    });
    const stop = async () => {
      await watch.stop();
      await spreading.stop();
      await side.stop();
      await running.stop();
    };
    return { ...running, stop };
  } catch (error) {
    await side.stop();
    await cosignatures.close();
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
