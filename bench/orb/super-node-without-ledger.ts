import { readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { Ledger } from '@orb/ledger';
import { openEmbeddedLedger } from '@orb/ledger/embedded';
import { WssTransport } from '@orb/link/wss';
import type { Transaction } from '@orb/protocol';
import { openDiskStore } from '@orb/store/disk';
import { createLog, parseSuperNodeConfig, readNetworkFolder } from '@orb/super-node';
import { setHeapFlags } from '../../packages/cli/src/heap-flags.ts';
import { assembleSuperNode } from '../../packages/super-node/src/assemble.ts';

/*
 * A super node whose settlements go nowhere: the same composition as the real one but for the ledger's way in. Everything
 * up to there is on: tickets, receipts, roots, journal, and the transaction, which is made, signed and thrown away. It
 * stands beside the real one to show what the ledger costs. No configuration leads here: this file alone does it.
 *
 *   node super-node-without-ledger.ts CONFIG
 */
const file = resolve(process.argv[2] ?? '');
const given = parseSuperNodeConfig(JSON.parse(readFileSync(file, 'utf8')));
setHeapFlags();
const config = { ...given, folder: resolve(dirname(file), given.folder) };
const keys = readNetworkFolder(config.folder);
const ledger = await openEmbeddedLedger({ folder: join(config.folder, 'ledger'), genesis: keys.genesis, ordererKey: keys.orderer! });
const running = await assembleSuperNode(config, {
  ledger: withoutSettlements(ledger),
  store: await openDiskStore({ directory: join(config.folder, 'code'), quotaBytes: config.codeQuotaMiB * 2 ** 20 }),
  boxes: await openDiskStore({ directory: join(config.folder, 'secrets', 'boxes') }),
  transport: new WssTransport({ host: '127.0.0.1', port: 0 }),
  keys,
  log: createLog((line) => process.stderr.write(line), Date.now),
});
const { id, key, chain, gatewayUrl, linkAddress } = running;
console.log(JSON.stringify({ ready: 'super-node', id, key, chain, gateway: gatewayUrl, address: linkAddress }));
const { promise: stopped, resolve: stop } = Promise.withResolvers<void>();
process.once('SIGTERM', stop);
process.stdin.once('end', stop).resume();
await stopped;
await running.stop();
process.exit(0);

function withoutSettlements(real: Ledger): Ledger {
  const submit = async (transaction: Transaction) =>
    transaction.kind === 'job.settle' ? { id: '', rejections: [], height: 0, index: 0, time: Date.now() } : real.submit(transaction);
  return new Proxy(real, {
    get(target, name) {
      if (name === 'submit') return submit;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? (value as () => unknown).bind(target) : value;
    },
  });
}
