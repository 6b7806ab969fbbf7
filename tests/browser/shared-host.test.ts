import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TestSuperNode } from '../../packages/super-node/src/testing/test-super-node.ts';
import { Chromium, noChromium } from './chromium.ts';

const reason = noChromium();
const title = reason ? ` (${reason})` : '';

/** What a page can get at of what another page of the same host has left. */
const look = `(async () => {
  const told = (work) => { try { return work(); } catch (error) { return error.name; } };
  return [told(() => localStorage.getItem('secret')), told(() => document.cookie), self.origin];
})()`;

describe.skipIf(reason !== undefined).each([
  ['by default', {}, ['SecurityError', 'SecurityError', 'null']],
  [
    'where the operator says that all functions trust each other',
    { gateway: { listen: '127.0.0.1:0', pages: 'shared' as const } },
    undefined,
  ],
])(`pages of two functions in a real Chromium${title}, %s`, (_, config, kept) => {
  let net: TestSuperNode;
  let browser: Chromium;
  beforeAll(async () => {
    net = await TestSuperNode.start(config);
    await net.addNode('node', {
      run: ({ method }) =>
        method === 'POST'
          ? { headers: [['content-type', 'application/json']], body: '{"own":true}' }
          : {
              headers: [
                ['content-type', 'text/html'],
                ['set-cookie', 'session=of-this-page'],
              ],
              body: '<script>try { localStorage.setItem("secret", "swordfish"); } catch {} window.ran = true;</script>',
            },
    });
    for (const name of ['bank', 'thief']) await net.deploy(name);
    browser = await Chromium.start();
  }, 120_000);
  afterAll(async () => {
    await browser?.stop();
    await net?.stop();
  });

  test(kept ? 'neither reads what is the other’s; each runs, and calls itself' : 'they share an origin, as before', async () => {
    await browser.open(`${net.url}/fn/bob/bank`);
    await browser.open(`${net.url}/fn/bob/thief`);
    expect(await browser.evaluate('window.ran')).toBe(true);
    const seen = await browser.evaluate<string[]>(look);
    expect(seen).toEqual(kept ?? ['swordfish', 'session=of-this-page', net.url]);
    const answer = await browser.evaluate(`fetch(location.href, { method: 'POST', body: '1' }).then((response) => response.json())`);
    expect(answer).toEqual({ own: true });
  });
});
