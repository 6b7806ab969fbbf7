import { hex32, hex64, parseWith, type Hex32 } from '@orb/protocol';
import { z } from 'zod';
import { HttpApi, type HttpApiOptions } from '../replica/http-api.ts';
import { cosignaturesMessageSchema, type Cosignatures } from './cosignature-book.ts';
import type { CosignatureSink } from './cosigning.ts';

const height = z.int().min(0);
const standingSchema = z.object({ height: height.nullable() });
const addedSchema = z.object({ height });
const ofSchema = z.object({ cosignatures: z.array(z.object({ key: hex32, signature: hex64 })).max(256) });
const statusSchema = z.object({
  // Super nodes of before knew peers of their own configuration.
  source: z.enum(['ledger', 'configured', 'none']).transform((source) => (source === 'none' ? source : 'ledger')),
  needed: z.int().min(1),
  head: height,
  final: height.nullable(),
  peers: z.array(z.object({ id: hex32, height: height.nullable(), heardMs: z.number().nullable() })).max(256),
});

/** How long an answer about the whole is given again: many may ask a peer, and the orderer is asked for all of them. */
const statusMs = 500;

/** {@link httpCosignatures} of whoever keeps them by now. */
export function rovingCosignatures(urlOf: () => Promise<string>): Cosignatures & CosignatureSink {
  const known = new Map<string, Cosignatures & CosignatureSink>();
  const now = async () => {
    const url = await urlOf();
    let its = known.get(url);
    if (!its) known.set(url, (its = httpCosignatures({ url })));
    return its;
  };
  return {
    add: async (value) => (await now()).add(value),
    heightOf: async (key: Hex32, ...signal: [] | [AbortSignal]) => (await now()).heightOf(key, ...(signal as [AbortSignal])),
    of: async (height) => (await now()).of(height),
    status: async () => (await now()).status(),
    send: async (message, signal) => (await now()).send(message, signal),
    close: async () => void (await Promise.all([...known.values()].map((one) => one.close()))),
  };
}

/**
 * The co-signatures that a super node keeps, over HTTP: for those who follow it, and serve what it says. Whoever counts
 * them checks each: nothing is believed here.
 */
export function httpCosignatures(options: HttpApiOptions): Cosignatures & CosignatureSink {
  const api = new HttpApi(options);
  const path = '/v1/ledger/cosignatures';
  const ending = new AbortController();
  const ask = async <T>(query: string, schema: z.ZodType<T>, signal: AbortSignal = ending.signal, body?: unknown): Promise<T> =>
    parseWith(schema, await api.json(`${path}${query}`, signal, body), 'cosignatures', 'protocol-violation');
  let status: { readonly at: number; readonly answer: Promise<z.output<typeof statusSchema>> } | undefined;
  return {
    // Rubbish is not passed on.
    add: async (value) => ask('', addedSchema, undefined, parseWith(cosignaturesMessageSchema, value, 'cosignatures')),
    heightOf: async (key: Hex32, signal?: AbortSignal) =>
      (await ask(`?key=${parseWith(hex32, key, 'key')}`, standingSchema, signal)).height ?? undefined,
    // A proof holds without them: those who keep them may be away.
    of: (at) =>
      ask(`?height=${at}`, ofSchema).then(
        ({ cosignatures }) => cosignatures,
        () => [],
      ),
    status() {
      if (!status || performance.now() - status.at > statusMs) status = { at: performance.now(), answer: ask('', statusSchema) };
      return status.answer;
    },
    send: async (message, signal) => void (await ask('', addedSchema, signal, message)),
    close: async () => ending.abort(),
  };
}
