import type { CallAnswer, CallRequest } from '../e2e/call.ts';
import type { Network } from '../e2e/network.ts';
import { until } from '../e2e/until.ts';

export interface LoadOptions {
  /** Callers that call one after the other, all at once. */
  readonly callers: number;
  /** Name of alice's function, path and query. */
  readonly path: string;
  /** What the `index`-th call sends. */
  readonly request: (index: number) => CallRequest;
  /** Whether an answer with status 200 is the one to the `index`-th call. @default not looked at */
  readonly isRight?: (answer: CallAnswer, index: number) => boolean;
}

/** A call that brought no whole answer: the connection broke. */
export interface Broken {
  readonly reason: string;
}

/** A caller that was refused, or whose connection broke, tries again after this. */
const again = () => new Promise((resolve) => setTimeout(resolve, 20));

/** Callers that never rest at one super node, and all that they got. */
export class Load {
  readonly answers: CallAnswer[] = [];
  readonly broken: Broken[] = [];
  /** Answers with status 200 to another question than the one that was asked. */
  readonly wrong: CallAnswer[] = [];
  readonly #network: Pick<Network, 'call'>;
  readonly #options: LoadOptions;
  readonly #callers: Promise<void>[];
  #stopped = false;
  #next = 0;

  constructor(network: Pick<Network, 'call'>, options: LoadOptions) {
    this.#network = network;
    this.#options = options;
    this.#callers = Array.from({ length: options.callers }, () => this.#callOnAndOn());
  }

  /** Answers with status 200. */
  get good(): readonly CallAnswer[] {
    return this.answers.filter(({ status }) => status === 200);
  }

  /** Answers with any other status. */
  get refused(): readonly CallAnswer[] {
    return this.answers.filter(({ status }) => status !== 200);
  }

  /** Resolves when this many more calls have been answered with 200. */
  async served(more: number): Promise<void> {
    const wanted = this.good.length + more;
    await until(`${more} more calls to be served`, async () => this.good.length >= wanted);
  }

  /** Lets the calls under way end, and makes no more. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#callers);
  }

  async #callOnAndOn(): Promise<void> {
    while (!this.#stopped) {
      try {
        const { path, request, isRight } = this.#options;
        const index = this.#next++;
        const answer = await this.#network.call(path, request(index));
        this.answers.push(answer);
        if (answer.status === 200 && isRight?.(answer, index) === false) this.wrong.push(answer);
        if (answer.status !== 200) await again();
      } catch (error) {
        const { cause, message } = error as Error & { cause?: Error };
        this.broken.push({ reason: cause?.message ?? message });
        await again();
      }
    }
  }
}
