import {
  asOrbError,
  type Block,
  type BlockHeader,
  chainId,
  type Genesis,
  type Hex32,
  labels,
  OrbError,
  parsePrepared,
  statement,
  verify,
} from '@orb/protocol';
import { BlockBuilder } from './block-builder.ts';
import { genesisHeader } from './genesis.ts';
import type { State } from './state.ts';

/** How long running a block again may hold the event loop before it lets others run. */
const sliceMs = 8;

/** @throws OrbError `ledger-corrupt` naming the first thing that is wrong with block 0 */
export function checkFirstBlock(block: Block, header: BlockHeader, genesis: Genesis, state: State): void {
  compareHeaders(header, genesisHeader(genesis, state));
  if (block.transactions.length > 0) throw wrongBlock(0, 'the first block holds no transactions');
  checkSignature(block, header, genesis.ordererKey);
}

/** @param ordererKey of the header's epoch @throws OrbError `ledger-corrupt` when that key did not sign the header */
export function checkSignature({ signature }: Pick<Block, 'signature'>, header: BlockHeader, ordererKey: Hex32 | undefined): void {
  if (ordererKey === undefined) throw wrongBlock(header.height, `nobody is the orderer of epoch ${header.epoch}`);
  if (!isSignedBy(ordererKey, header, signature)) throw wrongBlock(header.height, 'the orderer did not sign it');
}

/** Whether the orderer signed a header. */
export function isSignedBy(ordererKey: string, header: BlockHeader, signature: unknown): boolean {
  return verify(ordererKey, statement(labels.block, header), String(signature));
}

/**
 * Runs a block again on the state before it, and compares all that comes of it with its header. The state's entries are
 * as before until the writes are applied; others may run in between.
 * @throws OrbError `ledger-corrupt` naming the first thing that is wrong
 */
export async function reExecute(
  header: BlockHeader,
  transactions: readonly unknown[],
  { genesis, previous, state }: { readonly genesis: Genesis; readonly previous: BlockHeader; readonly state: State },
): Promise<BlockBuilder> {
  const height = previous.height + 1;
  const builder = new BlockBuilder({ chain: chainId(genesis), genesis, previous, time: header.time, epoch: header.epoch, state });
  let sliceEnds = performance.now() + sliceMs;
  for (const [index, transaction] of transactions.entries()) {
    try {
      builder.add(parsePrepared(transaction));
    } catch (error) {
      throw wrongBlock(height, `its transaction ${index} is not valid: ${asOrbError(error).message}`);
    }
    if (performance.now() >= sliceEnds) {
      await new Promise((resolve) => setImmediate(resolve));
      sliceEnds = performance.now() + sliceMs;
    }
  }
  compareHeaders(header, builder.seal());
  return builder;
}

/** Names the first member of a header that running the block again does not confirm. */
function compareHeaders(header: BlockHeader, computed: BlockHeader): void {
  for (const [name, value] of Object.entries(computed)) {
    if (header[name as keyof BlockHeader] !== value) throw wrongBlock(computed.height, `its ${name} is not what its transactions lead to`);
  }
}

/** @param what completes the sentence "Block 7 is wrong: …" */
export function wrongBlock(height: number, what: string): OrbError {
  return new OrbError('ledger-corrupt', { message: `Block ${height} is wrong: ${what}.`, details: { height } });
}
