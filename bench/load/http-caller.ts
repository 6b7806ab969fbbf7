import { Refusal, type Caller, type CallTarget } from './caller.ts';
import { HttpConnection, type HttpResponse } from './http-connection.ts';
import type { Payload } from './payload.ts';

/** Calls over HTTP/1.1 with keep-alive; as many connections as calls have been under way at once. */
export class HttpCaller implements Caller {
  readonly #places: readonly HttpPlace[];
  readonly #refusals = new Refusals();
  #next = 0;

  constructor({ urls, headers }: Extract<CallTarget, { protocol: 'http' }>) {
    this.#places = urls.map((url) => new HttpPlace(url, headers));
  }

  async call(payload: Payload): Promise<boolean> {
    const response = await this.exchange(payload.text);
    if (response.status !== 200) throw this.#refusals.of(response);
    return response.body === payload.text;
  }

  /** One request and its response, whatever its status. @param body ASCII only */
  exchange(body: string): Promise<HttpResponse> {
    const place = this.#places[this.#next]!;
    this.#next = (this.#next + 1) % this.#places.length;
    return place.exchange(body);
  }

  async close(): Promise<void> {
    for (const place of this.#places) place.close();
  }
}

/** One address, and the connections to it. */
class HttpPlace {
  readonly #host: string;
  readonly #port: number;
  readonly #head: string;
  readonly #idle: HttpConnection[] = [];
  readonly #open = new Set<HttpConnection>();

  constructor(url: string, more: Readonly<Record<string, string>>) {
    const { protocol, hostname, port, pathname, search } = new URL(url);
    if (protocol !== 'http:') throw new RangeError(`The load generator speaks plain HTTP, not ${protocol}`);
    this.#host = hostname;
    this.#port = Number(port || 80);
    const headers = Object.entries({ host: `${hostname}:${this.#port}`, 'content-type': 'application/json', ...more });
    this.#head = `POST ${pathname}${search} HTTP/1.1\r\n${headers.map(([name, value]) => `${name}: ${value}\r\n`).join('')}`;
  }

  async exchange(body: string): Promise<HttpResponse> {
    const connection = this.#takeIdle() ?? (await this.#connect());
    try {
      return await connection.request(`${this.#head}content-length: ${body.length}\r\n\r\n${body}`);
    } finally {
      if (connection.usable) this.#idle.push(connection);
      else this.#open.delete(connection);
    }
  }

  close(): void {
    for (const connection of this.#open) connection.close();
  }

  /** A server closes what stands idle for long: such a connection is no answer to a call, and is never used again. */
  #takeIdle(): HttpConnection | undefined {
    for (;;) {
      const connection = this.#idle.pop();
      if (connection === undefined || connection.usable) return connection;
      this.#open.delete(connection);
    }
  }

  async #connect(): Promise<HttpConnection> {
    const connection = await HttpConnection.open(this.#host, this.#port);
    this.#open.add(connection);
    return connection;
  }
}

/**
 * Refusals as errors, one for each kind: under a flood, making each anew with its stack is an eighth of what the load generator
 * takes of the cores that it shares with the servers.
 */
class Refusals {
  readonly #made = new Map<string, Refusal>();

  /** Counted by its status, and the code of an Orb error where there is one. */
  of({ status, body, header }: HttpResponse): Refusal {
    const code = /"code":"([a-z-]{1,40})"/.exec(body)?.[1];
    const kind = code === undefined ? `status ${status}` : `status ${status} ${code}`;
    const tooMuch = status === 429 || status === 503;
    const comeAgain = tooMuch && header('retry-after') !== undefined;
    const key = `${kind} ${comeAgain}`;
    const made = this.#made.get(key) ?? new Refusal(kind, comeAgain);
    this.#made.set(key, made);
    return made;
  }
}
