import { connect, type Socket } from 'node:net';

/** Answers of one caller, by status. */
export type Answers = Map<number, number>;

/**
 * One caller at an address of his own who calls a function over and over, on many connections, and never waits after a
 * refusal: what no honest program does.
 */
export class Flood {
  readonly answers: Answers = new Map();
  readonly #sockets: readonly Socket[];

  /** @param from an address of this computer, such as 127.0.0.2 */
  constructor(url: string, { from, connections }: { readonly from: string; readonly connections: number }) {
    const { hostname, port, pathname } = new URL(url);
    const request = `POST ${pathname} HTTP/1.1\r\nhost: ${hostname}\r\ncontent-length: 2\r\n\r\n{}`;
    this.#sockets = Array.from({ length: connections }, () => {
      const socket = connect({ host: hostname, port: Number(port), localAddress: from });
      socket.setEncoding('latin1').on('error', () => undefined);
      let read = '';
      socket.on('data', (text) => {
        read += String(text);
        const head = /^HTTP\/1\.1 (\d+)[^]*?\r\ncontent-length: (\d+)\r\n[^]*?\r\n\r\n/i.exec(read);
        if (!head || read.length < head[0].length + Number(head[2])) return;
        read = '';
        const status = Number(head[1]);
        this.answers.set(status, (this.answers.get(status) ?? 0) + 1);
        socket.write(request);
      });
      socket.write(request);
      return socket;
    });
  }

  get served(): number {
    return this.answers.get(200) ?? 0;
  }

  get refused(): number {
    return (this.answers.get(503) ?? 0) + (this.answers.get(429) ?? 0);
  }

  stop(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}
