import { setTimeout as sleep } from 'node:timers/promises';
import type { RunningSuperNode } from './assemble.ts';
import type { SuperNodeConfig } from './config.ts';
import type { Log } from './log.ts';

/** How often a start is tried again that was not the operator's own. */
const attemptsMax = 5;
const pauseMs = 1_000;

/** Starts one. @param dependencies.again ends it, and starts it again */
type Start = (config: SuperNodeConfig, dependencies: { readonly log: Log; readonly again: () => void }) => Promise<RunningSuperNode>;

/** Runs a super node that may ask to be started again: from the outside it stays one, at the addresses that it has. */
export async function startingAgain(config: SuperNodeConfig, { log }: { readonly log: Log }, start: Start): Promise<RunningSuperNode> {
  let running: RunningSuperNode | undefined;
  let pinned = config;
  let isEnding = false;
  let turn: Promise<void> | undefined;
  const again = (): void => {
    if (isEnding || turn) return;
    // Not inside whoever asks for it: he is a part of what ends.
    turn = new Promise<void>((resolve) => setImmediate(resolve))
      .then(restart)
      .catch((error: unknown) => {
        log.error('the super node could not be started again', { message: String(error) });
        // Whoever watches over the process starts it.
        setImmediate(() => {
          throw error;
        });
      })
      .finally(() => (turn = undefined));
  };
  const restart = async (): Promise<void> => {
    log.info('the super node starts again: the ledger has another orderer');
    await running?.stop();
    running = undefined;
    for (let attempt = 1; !isEnding; attempt++) {
      try {
        running = await start(pinned, { log, again });
        return;
      } catch (error) {
        if (attempt >= attemptsMax) throw error;
        log.warn('the super node does not start yet', { message: String(error) });
        await sleep(pauseMs);
      }
    }
  };
  running = await start(config, { log, again });
  pinned = atAddresses(config, running);
  const { id, key, chain, gatewayUrl, linkAddress } = running;
  const stop = async (): Promise<void> => {
    isEnding = true;
    await turn?.catch(() => undefined);
    await running?.stop();
  };
  return { id, key, chain, gatewayUrl, linkAddress, stop };
}

/** The ports that the system has picked once are kept. */
function atAddresses(config: SuperNodeConfig, { gatewayUrl, linkAddress }: RunningSuperNode): SuperNodeConfig {
  const kept = (listen: string, url: string) => (listen.endsWith(':0') ? listen.replace(/0$/, new URL(url).port) : listen);
  return {
    ...config,
    gateway: {
      ...config.gateway,
      listen: config.gateway.url === undefined ? kept(config.gateway.listen, gatewayUrl) : config.gateway.listen,
    },
    links: { ...config.links, listen: config.links.address === undefined ? kept(config.links.listen, linkAddress) : config.links.listen },
  };
}
