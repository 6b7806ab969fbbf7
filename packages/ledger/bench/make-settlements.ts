import { makeSettlements } from './on-disk.ts';

// The other side of `fillAndCrash`: settlements of so many jobs, one a line.
await makeSettlements(Number(process.argv[2]));
