/** Every limit of the formats, in one place. Bytes unless the name says otherwise; each bound is inclusive. */
export const limits = {
  /** RFC 8785 text of a manifest: small enough to stand on the ledger. */
  manifestBytes: 16_384,
  /** A code bundle. npm-heavy functions bundle to 1–3 MiB; ten leaves room without filling lent disks. */
  codeBytes: 10 * 1024 * 1024,
  /** Request and response bodies of a synchronous call, as with AWS Lambda. */
  bodyBytes: 6 * 1024 * 1024,
  /** The same for a body that streams, in one direction, where super node and node set no other limit. */
  streamBytes: 16 * 1024 * 1024 * 1024,
  /** A call's path and query. */
  pathBytes: 4_096,
  /** All header names and values of a call together. */
  headersBytes: 16_384,
  headersCount: 100,
  /** One ledger transaction, canonical: a settlement of 256 rows of about 600 bytes fits. */
  transactionBytes: 262_144,
  signaturesPerTransaction: 4,
  /** One block; far above what an orderer commits at once. */
  blockTransactions: 10_000,
  /** Rows of one settlement, and of one signed root. */
  settlementRows: 256,
  /** How often lists of tickets and receipts are looked through for what is due to get its signed root. */
  rootTickMs: 100,
  /** Ticks between two roots of a list on which few wait, and how many are no longer few. */
  calmRootTicks: 5,
  busyRootRows: 64,
  /** Rows hashed together as one Merkle leaf. Measured: 8 cost a third less than 1 on the whole path. */
  rowsPerLeaf: 8,
  /** Rows under a root that a proof may name: far above what one tick or one settlement has. */
  provenRows: 1_048_576,
  /** Rows of one `job.claim`: each carries its proofs. */
  claimRows: 16,
  /** Keys of one account. */
  accountKeys: 3,
  /** Accounts that decide together on parameters and disputes. */
  peers: 64,
  /** Changes of the orderer that a job's proof may go over. */
  ordererChanges: 256,
  functionsPerAllowance: 64,
  /** Replicas and versions that one super node tells others it has seeders for: a list of about a megabyte. */
  presenceEntries: 30_000,
  /** Versions that one node holds, and how many of them may need secrets: those stand in its offer whole. */
  nodeReplicas: 4_000,
  nodeSecretReplicas: 400,
  /** Versions of one function that a node holds: eight may share its calls, and as many are there to go back to. */
  nodeFunctionVersions: 16,
  /** How far behind the newest ticket of an allowance a node still takes one: the width of its replay guard. */
  ticketWindow: 65_536,
  /** The longest interval that a job's row can state: ten times the longest time limit. */
  jobMicroseconds: 9_000_000_000,
  accountNameChars: 39,
  functionNameChars: 63,
  memoryMiB: { min: 64, max: 10_240, default: 128 },
  timeoutMs: { min: 1, max: 900_000, default: 10_000 },
  concurrency: { min: 1, max: 1_000, default: 32 },
  replicas: { min: 1, max: 64, default: 2 },
  retries: { min: 0, max: 5, default: 1 },
  /** Base units per MiB·ms. The upper bound keeps the largest possible cost of one job far below `maxUnits`. */
  rate: { min: 0n, max: 1_000_000_000n, default: 10n },
  labels: 32,
  networkHosts: 64,
  /** Requests that one job may make to the network, and how many of them at once. */
  fetchesPerJob: 64,
  fetchesAtOnce: 8,
  /** Address of such a request, and how often it may lead elsewhere. */
  fetchUrlBytes: 8_192,
  fetchRedirects: 10,
  /** What one job may send and receive that way together. */
  fetchBytesPerJob: 256 * 1024 * 1024,
  /** What all jobs of a function on one node may do in a second. */
  fetchesPerSecond: 50,
  fetchBytesPerSecond: 8 * 1024 * 1024,
  /** Secrets of a function; bytes of one value, and of all names and values together. */
  secrets: 64,
  secretBytes: 8_192,
  secretsBytes: 32_768,
  /** One sealed box: the package of all, with room for what JSON escapes. */
  secretBoxBytes: 49_152,
  /** Nodes that one super node keeps boxes of a function for, and how many of them come in one request. */
  secretNodes: 256,
  secretBoxesAtOnce: 64,
  /** Variables of a manifest’s environment, and all their names and values together, as with AWS Lambda. */
  envCount: 64,
  envBytes: 4_096,
  /** A function's error message as it is shown to a caller. */
  errorMessageChars: 1_024,
  /** How far a block's time may be from a peer's clock, ahead of it, or behind it when the block arrives. */
  blockClockMs: 60_000,
  /** How far a signed request's creation time may be from the receiver's clock. */
  signedRequestSkewMs: 60_000,
  idempotencyKeyChars: 128,
  /** How long a token for AWS clients lives. */
  tokenMs: { min: 60_000, max: 31_622_400_000, default: 2_592_000_000 },
  tokensPerAccount: 100,
  functionsPerToken: 64,
  tokenLabelChars: 64,
  /** How far a SigV4 request's time may be from the receiver's clock: five minutes, as Lambda has it. */
  sigV4SkewMs: 300_000,
  /** Functions that wait for each other in one chain of `ctx.call`, the outermost included. */
  callDepth: 8,
  /** How often one function may stand in such a chain: bounds what calls itself, directly or in a circle. */
  callRepeats: 3,
  /** Calls that one job may make. */
  callsPerJob: 64,
  /** Input of such a call: it travels in one frame. */
  callInputBytes: 262_144,
  /** Output of such a call: a job that does not read its answers holds no more of them than callsPerJob times this. */
  callOutputBytes: 1_048_576,
  /** Links of callers to one super node, and those of one address. */
  callerLinks: 8_192,
  callerLinksPerAddress: 64,
  /** Calls under way on one link of a caller. */
  callerCalls: 1_024,
  /** Whole bodies of such calls and their answers that are held at once. */
  callerHeldBytes: 134_217_728,
} as const;
