import type { Caller, CallTarget } from './caller.ts';
import { HttpConnection, type HttpResponse } from './http-connection.ts';
import type { Payload } from './payload.ts';

/** Calls over HTTP/1.1 with keep-alive; as many connections as calls have been under way at once. */
export class HttpCaller implements Caller {
  readonly #host: string;
  readonly #port: number;
  readonly #head: string;
  readonly #idle: HttpConnection[] = [];
  readonly #open = new Set<HttpConnection>();

  constructor(target: Extract<CallTarget, { protocol: 'http' }>) {
    const { protocol, hostname, port, pathname, search } = new URL(target.url);
    if (protocol !== 'http:') throw new RangeError(`The load generator speaks plain HTTP, not ${protocol}`);
    this.#host = hostname;
    this.#port = Number(port || 80);
    const headers = Object.entries({ host: `${hostname}:${this.#port}`, 'content-type': 'application/json', ...target.headers });
    this.#head = `POST ${pathname}${search} HTTP/1.1\r\n${headers.map(([name, value]) => `${name}: ${value}\r\n`).join('')}`;
  }

  async call(payload: Payload): Promise<boolean> {
    const response = await this.exchange(payload.text);
    if (response.status !== 200) throw new Error(refusal(response));
    return response.body === payload.text;
  }

  /** One request and its response, whatever its status. @param body ASCII only */
  async exchange(body: string): Promise<HttpResponse> {
    const connection = this.#idle.pop() ?? (await this.#connect());
    try {
      return await connection.request(`${this.#head}content-length: ${body.length}\r\n\r\n${body}`);
    } finally {
      if (connection.usable) this.#idle.push(connection);
      else this.#open.delete(connection);
    }
  }

  async close(): Promise<void> {
    for (const connection of this.#open) connection.close();
  }

  async #connect(): Promise<HttpConnection> {
    const connection = await HttpConnection.open(this.#host, this.#port);
    this.#open.add(connection);
    return connection;
  }
}

/** What a refusal is counted as: the status, and the code of an Orb error where there is one. */
function refusal({ status, body }: HttpResponse): string {
  const code = /"code":"([a-z-]{1,40})"/.exec(body)?.[1];
  return code === undefined ? `status ${status}` : `status ${status} ${code}`;
}
