import { chainId, type ChainId, type Genesis, type Signer } from '@orb/protocol';
import type { ChangeAhead } from '@orb/ledger/change';
import type { ReplicaStatus } from '@orb/ledger/replica';

/* What a plain ledger peer is made of. Loaded when its command needs it. */

export interface PeerOptions {
  readonly folder: string;
  /** The network that is trusted. */
  readonly genesis: Genesis;
  /** Address of the super node to follow. */
  readonly gateway: string;
  /** Co-signs blocks. */
  readonly signer: Signer;
  /** HOST:PORT to serve reads and proofs at; undefined serves nobody. */
  readonly listen?: string | undefined;
  /** Addresses of other peers, beside the super nodes on the ledger: they are told of refused blocks, and asked. */
  readonly others: readonly string[];
  /** What a new folder begins with. */
  readonly begin: 'auto' | 'snapshot' | 'start';
  /** Keys that must have co-signed the snapshot, more than two thirds of them. */
  readonly trusted: readonly string[];
}

export interface RunningPeer {
  readonly chain: ChainId;
  readonly url: string | undefined;
  status(): ReplicaStatus;
  /** Height of the oldest block that it has. */
  oldest(): number;
  stop(): Promise<void>;
}

type Say = (level: 'info' | 'warn' | 'error', message: string) => void;

/**
 * Follows a ledger, co-signs it, and serves reads of it. Where a change of the orderer takes blocks out of its copy, it
 * starts again by itself, at the same address. @param log takes words for its operator, and what was refused
 */
export async function runPeer(options: PeerOptions, log: Say): Promise<RunningPeer> {
  let isEnding = false;
  let turn: Promise<void> | undefined;
  const again = (): void => {
    if (isEnding || turn) return;
    // Not inside whoever asks for it: he is a part of what ends.
    turn = new Promise<void>((resolve) => setImmediate(resolve))
      .then(async () => {
        const { url } = running;
        await running.stop();
        if (isEnding) return;
        running = await startPeer({ ...options, listen: options.listen && url && new URL(url).host }, { log, again });
      })
      .finally(() => (turn = undefined));
  };
  let running = await startPeer(options, { log, again });
  const { chain, url } = running;
  const stop = async () => {
    isEnding = true;
    await turn;
    await running.stop();
  };
  return { chain, url, status: () => running.status(), oldest: () => running.oldest(), stop };
}

async function startPeer(
  { folder, genesis, gateway, signer, listen, others, begin, trusted }: PeerOptions,
  { log, again }: { readonly log: Say; readonly again: () => void },
): Promise<RunningPeer> {
  const [
    { openReplicaLedger, RovingUpstream, startSpreading },
    { openCosigner, rovingCosignatures, startCosigning },
    change,
    { startLedgerGateway },
  ] = await Promise.all([
    import('@orb/ledger/replica'),
    import('@orb/ledger/finality'),
    import('@orb/ledger/change'),
    import('@orb/super-node'),
  ]);
  const onTrouble = ({ message }: { message: string }) => log('warn', message);
  const upstream = new RovingUpstream({ url: gateway, chain: chainId(genesis), others });
  const known = (await change.readCertificateFile(folder))?.change;
  if (known) upstream.expectChange(known);
  const ledger = await openReplicaLedger({
    folder,
    genesis,
    begin,
    trusted,
    upstream,
    onWhole: () => log('info', 'The blocks before the snapshot are here, run again, and have led to it.'),
    onRefused: ({ height, reason }, file) =>
      log('error', `Block ${height} is refused: ${reason}.${file === undefined ? '' : ` It is kept in ${file}.`}`),
    onTrouble,
  });
  upstream.attach(ledger);
  const onChange = async (ahead: ChangeAhead): Promise<void> => {
    const { certificate, cut } = ahead;
    await change.writeCertificateFile(folder, certificate);
    if (cut) await change.writeCut(folder, cut);
    const { epoch, height, gateway: to } = certificate.change;
    log('info', `The orderer changes: from block ${height} on, in epoch ${epoch}, it is ${to}.`);
    if (cut || ledger.status.state === 'refused') return again();
    ledger.expectChange(certificate.change);
    upstream.expectChange(certificate.change);
  };
  const { state, error } = ledger.status;
  if (state === 'refused') log('error', error!.message);
  try {
    const cosigner = await openCosigner(folder, signer, ledger);
    const cosignatures = rovingCosignatures(() => upstream.ordererUrl());
    const desk = new change.ChangeDesk({ ledger, cosigner, onChange });
    const http =
      listen === undefined
        ? undefined
        : await startLedgerGateway(
            { listen, key: signer.publicKey, software: 'orb ledger peer' },
            {
              ledger,
              cosignatures,
              refusals: ledger.refusals,
              desk,
              log: { info: () => undefined, warn: (message) => log('warn', message), error: (message) => log('error', message) },
            },
          );
    const cosigning = startCosigning({ ledger, cosigner, sink: cosignatures, onTrouble });
    const spreading = startSpreading({ ledger, refusals: ledger.refusals, others, onTrouble });
    const watch = change.startChangeWatch({ ledger, others, onChange, onTrouble });
    const ending = new AbortController();
    change.resubmitDropped(folder, ledger, ending.signal).catch(onTrouble);
    let stopped: Promise<void> | undefined;
    const stop = () => (stopped ??= end());
    const end = async () => {
      ending.abort();
      await watch.stop();
      await spreading.stop();
      await cosigning.stop();
      await http?.close();
      await cosignatures.close();
      await ledger.close();
    };
    return { chain: ledger.chain, url: http?.url, status: () => ledger.status, oldest: () => ledger.oldest, stop };
  } catch (error) {
    await ledger.close();
    throw error;
  }
}
