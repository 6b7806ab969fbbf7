import { hex32, parseWith } from '@orb/protocol';
import { z } from 'zod';
import { HttpApi, type HttpApiOptions } from '../replica/http-api.ts';
import type { CosignatureSink } from './cosigning.ts';

const standingSchema = z.object({ height: z.int().min(0).nullable() });

/** The co-signatures that a super node keeps: `GET` and `POST /v1/ledger/cosignatures`. */
export function httpCosignatureSink(options: HttpApiOptions): CosignatureSink {
  const api = new HttpApi(options);
  return {
    async heightOf(key, signal) {
      const answer = await api.json(`/v1/ledger/cosignatures?key=${parseWith(hex32, key, 'key')}`, signal);
      return parseWith(standingSchema, answer, 'cosignatures', 'protocol-violation').height ?? undefined;
    },
    async send(message, signal) {
      await api.json('/v1/ledger/cosignatures', signal, message);
    },
  };
}
