import { hubRow } from './hub-row.ts';
import { orbRow } from './orb/row.ts';
import type { Row } from './row.ts';

/** Every row there is, in the order in which the table shows them. */
export const rows: readonly Row[] = [
  hubRow({ id: 'hub', name: 'Seed’s hub, socket.io 4', protocol: 'socket.io', folder: 'seed-hub' }),
  hubRow({ id: 'hub-tls', name: 'Seed’s hub, socket.io 4, TLS', protocol: 'socket.io', folder: 'seed-hub', secure: true }),
  orbRow,
  hubRow({ id: 'ws', name: 'Bare ws hub', protocol: 'ws', folder: 'ws-hub' }),
];
