import { childArgument, reportReady } from '../child.ts';
import type { CallTarget } from '../load/caller.ts';
import { dialHub } from './dial-hub.ts';

const target = childArgument<Extract<CallTarget, { protocol: 'link' }>>();
await dialHub(target, 'node', async ({ header, body }) => ({ header, body: body.complete ?? (await body.bytes(8 * 2 ** 20)) }));
reportReady('ready');
