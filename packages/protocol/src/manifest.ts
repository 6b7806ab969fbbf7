import { z } from 'zod';
import { sha256 } from '#crypto';
import { utf8 } from './bytes.ts';
import { canonical, type Json } from './canonical.ts';
import { OrbError } from './errors.ts';
import type { VersionId } from './ids.ts';
import { limits } from './limits.ts';
import { hostPattern } from './network.ts';
import { hex32, labelsRecord, listOf, parseWith, rate, secretName, units } from './schema.ts';

/** How strongly a node keeps a function apart from its computer, weakest first. */
export const isolationTiers = ['process', 'namespaces', 'container', 'vm'] as const;
/** One of {@link isolationTiers}. */
export type IsolationTier = (typeof isolationTiers)[number];

/** True when `offered` is at least as strong as `wanted`. */
export function tierSatisfies(offered: IsolationTier, wanted: IsolationTier): boolean {
  return isolationTiers.indexOf(offered) >= isolationTiers.indexOf(wanted);
}

/** The tier that a version gets on a node which offers `offered` to bundles: an image runs in a container or stronger. */
export function tierOf({ kind }: Pick<Manifest, 'kind'>, offered: IsolationTier): IsolationTier {
  return kind === 'image' && !tierSatisfies(offered, 'container') ? 'container' : offered;
}

const bounded = (bound: { min: number; max: number; default: number }) => z.int().min(bound.min).max(bound.max).default(bound.default);

/** Names of environment variables, as POSIX shells take them. Those that begin with ORB_ are the network's own. */
const variableName = z
  .string()
  .regex(/^[A-Za-z_][A-Za-z0-9_]{0,63}$/, 'must be a name of an environment variable')
  .refine((name) => !name.startsWith('ORB_'), 'must not begin with ORB_');
const environment = z
  .record(
    variableName,
    z.string().refine((value) => !value.includes('\0'), 'must not hold a NUL character'),
  )
  .refine((env) => Object.keys(env).length <= limits.envCount, `must have at most ${limits.envCount} variables`)
  .refine(
    (env) => Object.entries(env).reduce((sum, [name, value]) => sum + utf8(name + value).byteLength, 0) <= limits.envBytes,
    `must have at most ${limits.envBytes} bytes`,
  );

/**
 * A version's contract with the network. Canonical JSON of this, hashed, is the version id. Every field is present in
 * the canonical form: defaults are filled in when it is made, so a later default can never change an old version.
 */
export const manifestSchema = z.strictObject({
  v: z.literal(1),
  /** `bundle`: one JavaScript file; `image`: an OCI image; `wasm`: a WebAssembly module. */
  kind: z.enum(['bundle', 'image', 'wasm']),
  /** What runs it: `deno-2` for bundles, `container` for images, `wasi-1` for WebAssembly. */
  runtime: z.string().regex(/^[a-z0-9][a-z0-9.-]{0,31}$/),
  /** The code's SHA-256 and size; for an image, the hash and size of its own manifest. */
  code: z.strictObject({ sha256: hex32, bytes: z.int().min(1).max(limits.codeBytes) }),
  /** Where the image is, `REGISTRY/NAME@sha256:…`, by the digest in `code`; only for `image`. */
  image: z
    .string()
    .regex(/^[\x21-\x7e]{1,512}$/, 'must be at most 512 printable ASCII characters')
    .nullable()
    .default(null),
  /**
   * Which export answers: `auto` tries `fetch`, then `default`, then `handler`. Of an image, how it answers: `job` (standard
   * input to standard output) or `http` (a server on `$PORT`). Of WebAssembly, the export: `auto` takes `_start`, a command's, else
   * `handle`.
   */
  handler: z
    .string()
    .regex(/^[A-Za-z_$][\w$.]{0,63}$/)
    .default('auto'),
  /** The limit, and what is billed, in MiB. */
  memoryMiB: bounded(limits.memoryMiB),
  timeoutMs: bounded(limits.timeoutMs),
  /** Calls that one instance may run at once. */
  concurrency: bounded(limits.concurrency),
  /** The most that the payer pays a node, base units per MiB·ms. */
  priceCap: rate,
  /** What the owner asks per call on top, base units; needs `payer: caller`. */
  ownPrice: units.default('0'),
  payer: z.enum(['owner', 'caller']).default('owner'),
  visibility: z.enum(['public', 'private']).default('public'),
  /** Safe to run twice: a call whose node was lost after it started is tried again. */
  idempotent: z.boolean().default(false),
  /** Same input, same output: the result can be checked on another node. */
  deterministic: z.boolean().default(false),
  retries: bounded(limits.retries),
  /** Nodes that should seed this version. */
  replicas: bounded(limits.replicas),
  verification: z
    .strictObject({ replicas: z.int().min(1).max(7), quorum: z.int().min(1).max(7) })
    .nullable()
    .default(null),
  isolation: z.enum(isolationTiers).default('process'),
  /** Labels that a node must carry. */
  labels: labelsRecord.default({}),
  /** Hosts the function may reach by `fetch`: `example.com:443`, without a port that of https, or `public`; on nodes that allow them. */
  network: listOf(z.string().max(260).regex(hostPattern), 0, limits.networkHosts).default([]),
  /** Names of secrets that its environment holds. Their values go sealed to nodes that the owner lists, and nowhere else. */
  secrets: listOf(secretName, 0, limits.secrets).default([]),
  /** Its environment, for everybody to read. Left out when there is none: versions without it are older than the field. */
  env: environment.exactOptional(),
  /** A path that answers 2xx or 3xx while an image's server is well. Left out where the image's own label counts, or nothing. */
  health: z
    .strictObject({
      path: z.string().regex(/^\/[!-~]{0,199}$/, 'must be a path of at most 200 printable ASCII characters'),
      /** How often it is asked while there are calls, seconds. */
      everySeconds: z.int().min(1).max(300).default(10),
    })
    .exactOptional(),
  /** Where results of asynchronous calls are kept. */
  resultStore: z.enum(['super-node']).default('super-node'),
});

/** A complete manifest. */
export type Manifest = z.output<typeof manifestSchema>;
/** A manifest before defaults are filled in. */
export type ManifestInput = z.input<typeof manifestSchema>;

/**
 * Reads a manifest, fills in defaults and refuses what no part of Orb can do yet.
 * @throws OrbError `invalid-manifest`, `too-large`, `not-supported`
 */
export function parseManifest(input: unknown): Manifest {
  const manifest = parseWith(manifestSchema, input, 'manifest', 'invalid-manifest') as Manifest;
  const bytes = utf8(canonical(manifest as Json)).byteLength;
  if (bytes > limits.manifestBytes) {
    throw new OrbError('too-large', {
      message: `The manifest has ${bytes} bytes; the limit is ${limits.manifestBytes}.`,
    });
  }
  checkConsistency(manifest);
  checkSupported(manifest);
  return manifest;
}

/**
 * Reads a manifest that must have every field, as it stands in a transaction: what was signed is what is stored.
 * @throws OrbError `invalid-manifest` naming the fields that are missing; and whatever {@link parseManifest} throws
 */
export function parseCompleteManifest(value: unknown): Manifest {
  const manifest = parseManifest(value);
  const missing = Object.keys(manifest).filter((field) => (value as Record<string, unknown>)[field] === undefined);
  if (missing.length > 0) {
    throw new OrbError('invalid-manifest', {
      message: `The manifest is not complete: ${missing.join(', ')} must be given.`,
      hint: 'Sign what parseManifest returns: it fills in the defaults.',
    });
  }
  if (canonical(manifest as Json) !== canonical(value as Json)) {
    throw new OrbError('invalid-manifest', {
      message: 'The manifest holds something that its canonical form does not.',
    });
  }
  return manifest;
}

/** @throws OrbError `invalid-manifest` unless the text is exactly the canonical form of a valid, complete manifest */
export function parseCanonicalManifest(text: string): Manifest {
  if (text.length > limits.manifestBytes)
    throw new OrbError('too-large', { message: `The manifest is longer than ${limits.manifestBytes} bytes.` });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new OrbError('invalid-manifest', { message: 'The manifest is not JSON.', cause });
  }
  const manifest = parseManifest(value);
  if (canonical(manifest as Json) !== text) {
    throw new OrbError('invalid-manifest', {
      message: 'The manifest is not in canonical form (RFC 8785, all fields present).',
    });
  }
  return manifest;
}

/** SHA-256 of the canonical manifest. */
export function versionId(manifest: Manifest): VersionId {
  return sha256(canonical(manifest as Json));
}

/** The least rules of a ledger (parameters.ts) that allow such a version. */
export function rulesFor({ secrets, health }: Pick<Manifest, 'secrets' | 'health'>): number {
  if (health) return 3;
  return secrets.length > 0 ? 2 : 1;
}

/** What runs each kind. */
const runtimeOf = { bundle: 'deno-2', image: 'container', wasm: 'wasi-1' } as const;

function checkConsistency(manifest: Manifest): void {
  const { verification, kind, image, ownPrice, payer } = manifest;
  const refuse = (message: string) => {
    throw new OrbError('invalid-manifest', { message });
  };
  if ((kind === 'image') !== (image !== null)) refuse('manifest.image: must be given exactly when kind is image');
  if (kind === 'image') checkImage(manifest, refuse);
  if (manifest.health && (kind !== 'image' || manifest.handler !== 'http'))
    refuse('manifest.health: only the server of an image, handler http, has one');
  if (kind === 'wasm' && manifest.concurrency !== 1)
    refuse('manifest.concurrency: must be 1 when kind is wasm, which runs one call at a time');
  if (manifest.env) checkEnvironment(manifest, refuse);
  if (manifest.network.length > 0 && manifest.deterministic) refuse('manifest.deterministic: what reaches the network is not');
  if (verification && verification.quorum > verification.replicas) refuse('manifest.verification: quorum exceeds replicas');
  if (verification && !manifest.deterministic) refuse('manifest.verification: needs a deterministic function');
  if (ownPrice !== '0' && payer !== 'caller') refuse('manifest.ownPrice: needs payer: caller');
}

function checkImage({ image, code, handler, concurrency }: Manifest, refuse: (message: string) => void): void {
  if (!image!.endsWith(`@sha256:${code.sha256}`))
    refuse('manifest.image: must end with the digest of its own manifest, @sha256: and code.sha256');
  if (handler !== 'job' && handler !== 'http') refuse('manifest.handler: must be job or http when kind is image');
  if (handler === 'job' && concurrency !== 1)
    refuse('manifest.concurrency: must be 1 when an image is a job, which runs in a container of its own');
}

function checkEnvironment({ env, secrets }: Manifest, refuse: (message: string) => void): void {
  const names = Object.keys(env ?? {});
  if (names.length === 0) refuse('manifest.env: must be left out when it is empty');
  const both = names.find((name) => secrets.includes(name));
  if (both !== undefined) refuse(`manifest.env: ${both} is the name of a secret`);
}

function checkSupported(manifest: Manifest): void {
  const { kind } = manifest;
  const unsupported = [
    manifest.runtime !== runtimeOf[kind] && `kind ${kind} with runtime ${manifest.runtime}`,
    manifest.payer === 'caller' && 'payer: caller',
    manifest.verification && 'verification',
    manifest.network.length > 0 && kind !== 'bundle' && `network for kind ${kind}`,
  ].filter((feature) => typeof feature === 'string');
  if (unsupported.length > 0) {
    throw new OrbError('not-supported', {
      message: `The manifest asks for what Orb cannot do yet: ${unsupported.join(', ')}.`,
    });
  }
}
