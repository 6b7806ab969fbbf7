import { createHash } from 'node:crypto';
import { Orb } from '@orb/sdk';
import { blocks } from './blocks.ts';

/** A caller in a process of its own: sends a body of so many MiB, reads it back as it comes, and prints what it saw. */
const [url, transport, mebibytes] = process.argv.slice(2) as [string, 'http' | 'link', string];
await using orb = new Orb({ url, transport });
// What a first call loads is no part of the body.
await orb.fetch('alice/echo', { method: 'POST', body: 'small' }).then(({ response }) => response.text());
console.log(JSON.stringify({ type: 'ready' }));

const sent = createHash('sha256');
const { response, info } = await orb.fetch('alice/echo', {
  method: 'POST',
  body: (async function* () {
    for (const block of blocks(Number(mebibytes) * 1_048_576)) {
      sent.update(block);
      yield block;
    }
  })(),
});
const got = createHash('sha256');
let bytes = 0;
for await (const piece of response.body!) {
  got.update(piece);
  bytes += piece.length;
}
const { node, job, receipt } = info;
console.log(JSON.stringify({ type: 'done', bytes, same: sent.digest('hex') === got.digest('hex'), node, job, checked: receipt?.checked }));
