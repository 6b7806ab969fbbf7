import type { BlobStore } from '@orb/store';
import type { Genesis, SuperNodeId } from '@orb/protocol';
import type { ChangeDesk, Cosignatures, Ledger, Refusals } from '@orb/ledger';
import type { EndedStreams } from './ended-streams.ts';
import type { Faucet } from './faucet.ts';
import type { Log } from '../log.ts';
import type { SecretRelay } from '../secrets/secret-relay.ts';
import type { SeedDependencies } from '../seeding/seed-function.ts';
import type { CallContext } from '../steps/call-context.ts';
import type { RateLimit } from './rate-limit.ts';
import type { SignedAccess } from './signed-access.ts';
import type { TokenBook } from './tokens/token-book.ts';
import type { StatusFeed } from '../analytics/status-feed.ts';

/** What the routes work with. */
export interface GatewayContext {
  readonly calls: CallContext;
  readonly ledger: Ledger;
  readonly cosignatures: Cosignatures | undefined;
  readonly refusals: Refusals | undefined;
  /** Where the orderer is changed. */
  readonly desk: ChangeDesk | undefined;
  readonly store: BlobStore;
  readonly genesis: Genesis;
  readonly superNode: SuperNodeId;
  readonly software: string;
  readonly signedAccess: SignedAccess;
  readonly tokens: TokenBook;
  readonly seeding: SeedDependencies;
  readonly secrets: SecretRelay;
  readonly statusFeed: StatusFeed;
  readonly faucet: Faucet | undefined;
  /** How long a caller may take no byte of a response that streams, or send none of a request that does. */
  readonly streamIdleMs: number;
  readonly endedStreams: EndedStreams;
  /** Pages of functions share an origin: their operator says that they trust each other. */
  readonly sharedPages: boolean;
  /** Calls per caller's address; undefined: no limit. */
  readonly callLimit: RateLimit | undefined;
  /** Changes and uploads per address. */
  readonly writeLimit: RateLimit;
  /** Where callers reach this gateway, without a trailing slash. */
  publicUrl: string;
  /** Resolves when everything on the ledger up to now has been taken in. */
  caughtUp(): Promise<void>;
  readonly log: Log;
}
