import { readFileSync, writeSync } from 'node:fs';
import { blockHash, type OrdererCertificate } from '@orb/protocol';
import { readCertificateFile, writeCertificateFile } from '../change/certificate-file.ts';
import { openEmbeddedLedger } from '../embedded/embedded-ledger.ts';
import { TestClock, testSigner } from './network.ts';

/*
 * A process that is given a change of the orderer as a super node is: it writes the certificate down, opens its ledger
 * with it, and so makes the first block of the epoch. It says how far it is, and waits to be killed.
 */
const [folder, file] = process.argv.slice(2) as [string, string];
const clock = new TestClock();
writeSync(1, 'started\n');
await writeCertificateFile(folder, JSON.parse(readFileSync(file, 'utf8')) as OrdererCertificate);
writeSync(1, 'written\n');
const change = await readCertificateFile(folder);
const ledger = await openEmbeddedLedger({ folder, ordererKey: testSigner('next orderer'), clock: clock.read, ...(change && { change }) });
writeSync(1, `begun ${blockHash(ledger.head)}\n`);
setInterval(() => undefined, 1_000);
