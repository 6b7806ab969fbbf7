import { writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { createSigner, limits, OrbError, parseManifest, randomBytes, sha256, toHex, type Manifest, type Signer } from '@orb/protocol';
import { Orb, type Owner } from '@orb/sdk';
import { bundleSource } from '../../packages/cli/src/deploy/bundle-source.ts';

/** What a function of the bench is deployed with; the rest is as the command has it. */
export interface FunctionTerms {
  readonly name: string;
  readonly code: Uint8Array;
  readonly memoryMiB: number;
  readonly concurrency: number;
  readonly replicas: number;
  /** What is held for it at each super node, base units. */
  readonly budgetUnits: bigint;
}

const timeoutMs = 2_000;
const allowanceMs = 86_400_000;

/** Bundles a source as `orb deploy` does it. @param folder where the source may be written */
export async function bundle(folder: string, name: string, source: string): Promise<Uint8Array> {
  const file = join(folder, `${name}.ts`);
  await writeFile(file, source);
  return (await bundleSource(file)).code;
}

/**
 * An account that deploys over the SDK: the steps of `orb deploy` without a process for each, so that 10,000 functions
 * are deployed in a minute or two.
 */
export class Developer {
  readonly name: string;
  /** One client for each super node. */
  readonly #orbs: readonly Orb[];
  readonly #superNodes: readonly string[];
  readonly #owner: Owner;

  private constructor(name: string, orbs: readonly Orb[], superNodes: readonly string[], owner: Owner) {
    this.name = name;
    this.#orbs = orbs;
    this.#superNodes = superNodes;
    this.#owner = owner;
  }

  /** Makes the account and asks the faucet for its money. */
  static async create(name: string, gateways: readonly string[], roles: readonly ('developer' | 'provider')[]): Promise<Developer> {
    const { signer } = newKey();
    const orbs = gateways.map((url) => new Orb({ url, account: { signer }, fetch: asAnybody }));
    const { id } = await orbs[0]!.accounts.create(name, signer, roles);
    await orbs[0]!.accounts.fund(id);
    const networks = await Promise.all(orbs.map((orb) => orb.network()));
    const superNodes = networks.map(({ superNode }) => superNode.id);
    return new Developer(name, orbs, superNodes, { id, signer });
  }

  /** Deploys a function at every super node. @param seedAt which of them asks for seeders. @returns its path below a gateway */
  async deploy(terms: FunctionTerms, seedAt = 0): Promise<string> {
    const [first] = this.#orbs;
    await this.#orbs[seedAt]!.functions.upload(terms.code, this.#owner);
    const manifest = manifestOf(terms);
    const keys = { control: newKey().signer, recovery: newKey().signer };
    const { id } = await first!.functions.create(this.#owner, terms.name, 1, keys, manifest);
    for (const superNode of this.#superNodes) {
      await first!.allowances.open(this.#owner, {
        superNode,
        functions: [id],
        maxUnits: terms.budgetUnits,
        maxPerCallUnits: BigInt(timeoutMs * terms.memoryMiB) * BigInt(manifest.priceCap),
        expiresMs: Date.now() + allowanceMs,
      });
    }
    await this.seed(`${this.name}/${terms.name}`, seedAt);
    return `/fn/${this.name}/${terms.name}`;
  }

  /** Certifies a node's key for this account. */
  async registerNode(node: Signer, label: string): Promise<void> {
    const body = { account: this.#owner.id, key: node.publicKey, label };
    await this.#orbs[0]!.ledger.sendAs(this.#owner.id, 'node.register', body, [this.#owner.signer, node]);
  }

  /** Asks a super node for seeders. @throws OrbError when nobody seeds it, or fewer than it wants */
  async seed(path: string, superNode: number): Promise<void> {
    for await (const step of this.#orbs[superNode]!.functions.seed(path, this.#owner)) {
      if (step.type === 'failed') throw new OrbError('no-node-fits', { message: `${path}: ${JSON.stringify(step.error)}` });
      if (step.type === 'done' && step.ready < step.wanted)
        throw new OrbError('no-node-fits', { message: `${path}: ${step.ready} of ${step.wanted} nodes seed it.` });
    }
  }
}

/** A key for this run alone. */
export function newKey(): { readonly seed: string; readonly signer: Signer } {
  const seed = toHex(randomBytes(32));
  return { seed, signer: createSigner(seed) };
}

function manifestOf({ code, memoryMiB, concurrency, replicas }: FunctionTerms): Manifest {
  return parseManifest({
    v: 1,
    kind: 'bundle',
    runtime: 'deno-2',
    code: { sha256: sha256(code), bytes: code.byteLength },
    priceCap: String(limits.rate.default),
    memoryMiB,
    timeoutMs,
    concurrency,
    replicas,
  });
}

/**
 * Each request comes from one of many addresses of this machine: writes are limited by address, and 10,000 functions are
 * to come as from many people.
 */
function asAnybody(input: string | URL | Request, { method = 'GET', headers, body, signal }: RequestInit = {}): Promise<Response> {
  const localAddress = `127.0.${1 + Math.floor(Math.random() * 250)}.1`;
  const fields = Object.fromEntries(new Headers(headers));
  return new Promise((resolve, reject) => {
    const options = { method, headers: fields, localAddress, ...(signal && { signal }) };
    const asked = request(input instanceof Request ? input.url : input, options, (answer) => {
      const { statusCode: status = 0, headersDistinct } = answer;
      const answerHeaders = Object.entries(headersDistinct).flatMap(([name, values = []]) =>
        values.map((value): [string, string] => [name, value]),
      );
      resolve(new Response(Readable.toWeb(answer) as ReadableStream<Uint8Array>, { status, headers: answerHeaders }));
    });
    asked.on('error', reject);
    asked.end(body ?? undefined);
  });
}
