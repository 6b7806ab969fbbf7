import { OrbError, limits, sha256 } from '@orb/protocol';
import { cleanText } from '../terminal/clean-text.ts';

/** Most bytes of an answer that is not a manifest. */
const maxAnswerBytes = 1_048_576;
const answerWithinMs = 30_000;
const manifestTypes = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
].join(', ');

/** A place in a registry, as `docker pull` would understand the words. */
export interface ImagePlace {
  /** Host and port. */
  readonly registry: string;
  readonly path: string;
  /** What nodes are told, without tag and digest. */
  readonly name: string;
  /** A tag, or `sha256:` and the digest. */
  readonly wanted: string;
}

/** Docker's own grammar of references: a host with an optional port, names between slashes, a tag, a digest. */
const pattern =
  /^([a-z0-9]+(?:[._-][a-z0-9]+)*(?::\d{1,5}(?=\/))?(?:\/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*)(?::(\w[\w.-]{0,127}))?(?:@(sha256:[0-9a-f]{64}))?$/;

/** @throws OrbError `bad-source` */
export function parseImagePlace(text: string): ImagePlace {
  const [, name, tag, digest] = (text.length <= 400 && pattern.exec(text)) || [];
  if (name === undefined) {
    throw new OrbError('bad-source', {
      message: `${JSON.stringify(text.slice(0, 100))} is no image.`,
      hint: 'Write it as docker pull would take it: ghcr.io/me/app:1.',
    });
  }
  const slash = name.indexOf('/');
  const first = name.slice(0, Math.max(0, slash));
  const isHost = /[.:]|^localhost$/.test(first);
  const [registry, path] = isHost ? [first, name.slice(slash + 1)] : ['docker.io', slash < 0 ? `library/${name}` : name];
  return { registry, path, name: `${registry}/${path}`, wanted: digest ?? tag ?? 'latest' };
}

/** Reads what a registry says of images, as little as a deploy needs (OCI distribution specification). */
export class ImageRegistry {
  readonly #place: ImagePlace;
  readonly #login: string | undefined;
  readonly #base: string;
  #authorization: string | undefined;

  /** @param login `NAME:PASSWORD`; none for what everybody may read */
  constructor(options: { readonly place: ImagePlace; readonly login: string | undefined }) {
    this.#place = options.place;
    this.#login = options.login;
    const { registry, path } = options.place;
    const host = registry === 'docker.io' ? 'registry-1.docker.io' : registry;
    // As Docker does: only a registry on this very computer is asked without TLS.
    const scheme = /^(localhost|127\.\d+\.\d+\.\d+)(:\d+)?$/.test(host) ? 'http' : 'https';
    this.#base = `${scheme}://${host}/v2/${path}`;
  }

  /** The manifest's own bytes, whose hash is the digest. @throws OrbError `bad-source`, `too-large` */
  async manifest(wanted = this.#place.wanted): Promise<Uint8Array> {
    const bytes = await this.#get(`/manifests/${wanted}`, limits.codeBytes, { accept: manifestTypes });
    if (wanted.startsWith('sha256:') && wanted !== `sha256:${sha256(bytes)}`) throw this.#trouble('sent something else than was asked for');
    return bytes;
  }

  /** A small blob such as an image's configuration, checked against its digest. @throws OrbError `bad-source` */
  async blob(digest: string): Promise<Uint8Array> {
    const bytes = await this.#get(`/blobs/${digest}`, maxAnswerBytes, {});
    if (digest !== `sha256:${sha256(bytes)}`) throw this.#trouble('sent something else than was asked for');
    return bytes;
  }

  async #get(path: string, most: number, headers: Record<string, string>): Promise<Uint8Array> {
    let response = await this.#fetch(this.#base + path, headers);
    if (response.status === 401) {
      this.#authorization = await this.#authorize(response.headers.get('www-authenticate') ?? '');
      response = await this.#fetch(this.#base + path, headers);
    }
    if (!response.ok) {
      const why =
        response.status === 404
          ? 'does not have it'
          : response.status === 401 || response.status === 403
            ? 'asks for a login'
            : `answered ${response.status}`;
      throw this.#trouble(why);
    }
    return readAtMost(response, most);
  }

  async #fetch(url: string, headers: Record<string, string>): Promise<Response> {
    try {
      const authorization = this.#authorization && { authorization: this.#authorization };
      return await fetch(url, { headers: { ...headers, ...authorization }, signal: AbortSignal.timeout(answerWithinMs) });
    } catch (cause) {
      throw this.#trouble('cannot be reached', cause);
    }
  }

  /** Basic (RFC 7617), or a bearer token from where the registry says. */
  async #authorize(challenge: string): Promise<string | undefined> {
    const basic = this.#login && `Basic ${Buffer.from(this.#login).toString('base64')}`;
    if (!/^bearer /i.test(challenge)) return basic;
    const field = (name: string) => new RegExp(`${name}="([^"]*)"`).exec(challenge)?.[1];
    const realm = field('realm');
    // A login goes to no one over an open line.
    if (realm === undefined || !realm.startsWith('https://')) throw this.#trouble('asks for a login in a way that is not safe');
    const url = new URL(realm);
    for (const [name, value] of [
      ['service', field('service')],
      ['scope', field('scope') ?? `repository:${this.#place.path}:pull`],
    ] as const)
      if (value) url.searchParams.set(name, value);
    const response = await fetch(url, {
      headers: basic ? { authorization: basic } : {},
      signal: AbortSignal.timeout(answerWithinMs),
    }).catch(() => undefined);
    if (!response?.ok) throw this.#trouble('refuses the login');
    const { token, access_token: accessToken } = JSON.parse(Buffer.from(await readAtMost(response, maxAnswerBytes)).toString()) as {
      token?: string;
      access_token?: string;
    };
    return `Bearer ${token ?? accessToken ?? ''}`;
  }

  #trouble(why: string, cause?: unknown): OrbError {
    const { registry, path, wanted } = this.#place;
    return new OrbError('bad-source', {
      message: `The image ${cleanText(`${path} ${wanted}`)} cannot be read: ${registry} ${why}.`,
      hint: 'Check the name, and push it first. For a private registry set ORB_REGISTRY_LOGIN=NAME:PASSWORD.',
      cause,
    });
  }
}

async function readAtMost(response: Response, most: number): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    bytes += piece.length;
    if (bytes > most) throw new OrbError('too-large', { message: `The registry sent more than ${most} bytes.` });
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}
