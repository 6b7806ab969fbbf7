// Whether a server is well, by what it answers on a path that its image names.
import { request } from 'node:http';

const host = '127.0.0.1';
/** Longest wait for one answer, milliseconds. */
const answerMs = 5_000;
/** Bad answers after each other until a server is given up. */
const patience = 3;
/** Pause between two looks at a server that is starting, milliseconds. */
const pauseMs = 50;

/** Looks at most every so often, and only while the server has requests: at rest it is frozen. */
export class Health {
  #port;
  #path;
  #everyMs;
  #onUnwell;
  #looking = false;
  #lookedMs = 0;
  #bad = 0;
  #active = 0;
  /** @type {NodeJS.Timeout | undefined} */
  #timer;

  /** @param {number} port @param {{ path: string, everyMs: number }} check @param {(words: string) => void} onUnwell */
  constructor(port, { path, everyMs }, onUnwell) {
    this.#port = port;
    this.#path = path;
    this.#everyMs = everyMs;
    this.#onUnwell = onUnwell;
  }

  /** Resolves when the server is well, with nothing; or with words, when it is not within this time. @param {number} withinMs */
  async begin(withinMs) {
    for (const untilMs = performance.now() + withinMs; ;) {
      const words = await this.#ask();
      if (words === undefined || performance.now() > untilMs) return words;
      await new Promise((resolve) => void setTimeout(resolve, pauseMs));
    }
  }

  /** A request begins. */
  enter() {
    this.#active++;
    void this.#look();
    this.#timer ??= setInterval(() => void this.#look(), this.#everyMs).unref();
  }

  /** It is over. */
  leave() {
    if (--this.#active > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  async #look() {
    if (this.#looking || performance.now() - this.#lookedMs < this.#everyMs) return;
    this.#looking = true;
    this.#lookedMs = performance.now();
    const words = await this.#ask();
    this.#looking = false;
    // A server without requests may have been frozen before it could answer: that says nothing.
    if (words !== undefined && this.#active === 0) return;
    this.#bad = words === undefined ? 0 : this.#bad + 1;
    if (this.#bad >= patience) this.#onUnwell(`${words}, ${patience} times`);
  }

  /** @returns {Promise<string | undefined>} what is wrong */
  #ask() {
    const what = `GET ${this.#path}`;
    return new Promise((resolve) => {
      const asked = request({ host, port: this.#port, path: this.#path, agent: false, headers: { 'user-agent': 'orb-health' } });
      const timer = setTimeout(() => finish(`${what} had no answer within ${answerMs} ms`), answerMs);
      const finish = (/** @type {string | undefined} */ words) => {
        clearTimeout(timer);
        asked.destroy();
        resolve(words);
      };
      asked.on('response', ({ statusCode = 0 }) =>
        finish(statusCode >= 200 && statusCode < 400 ? undefined : `${what} answered ${statusCode}`),
      );
      asked.on('error', (error) => finish(`${what} failed: ${/** @type {any} */ (error).code ?? 'no HTTP'}`));
      asked.on('upgrade', () => finish(`${what} answered 101`));
      asked.end();
    });
  }
}
