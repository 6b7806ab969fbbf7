import type { Container } from 'dockerode';
import type { Socket } from 'node:net';
import { logLimits } from '../harness/wire.js';
import type { Channel, ChannelEnd, ChannelUsage } from '../host/channel.ts';
import { ContainerMeter } from './container-meter.ts';
import type { Engine } from './engine.ts';
import { describeEnd, hardenedContainer, type ContainerPlan } from './hardened-container.ts';
import { LineCutter, StreamReader, Tail } from './stream-reader.ts';

/** Unsent bytes above which large bodies wait. */
const highWaterBytes = 1_048_576;
const tailBytes = 4_096;
/** What a server may print in one second; then it waits, as on a terminal that is full. */
const printedPerSecond = 262_144;
/** The relay itself prints nothing. */
const relayStderrBytes = 65_536;
/** What relay/main.js says there, once, before it gives the server up. */
const goneWords = 'nothing listens';
/** The same, of a server that is not well. */
const unwell = /unwell: ([ -~]{1,300})/;

/** As `console.info` and `console.error` of a function in JavaScript (harness/wire.js, logLevels). */
const printedLevels = { stdout: 1, stderr: 3 } as const;

export interface RelayChannelOptions {
  readonly freezeAfterMs: number;
}

/**
 * The way to one HTTP container: frames to a helper container on its attached standard streams, which asks the server
 * over a network that holds only the two. When the helper ends, whatever ends it, the function's processes end with it,
 * because it is the first process of theirs.
 */
export class RelayChannel implements Channel {
  readonly #options: RelayChannelOptions;
  readonly #engine: Engine;
  readonly #relay: Container;
  readonly #stream: Socket;
  readonly #printed = new Tail(tailBytes);
  readonly #complaint = new Tail(tailBytes);
  #server: Container | undefined;
  #output: Socket | undefined;
  #meter: ContainerMeter | undefined;
  #last: ChannelUsage = { memoryKiB: 0, cpuUs: 0 };
  #onBytes: ((bytes: Uint8Array) => void) | undefined;
  #onEnd: ((end: ChannelEnd) => void) | undefined;
  #onLine: ((level: number, line: string) => void) | undefined;
  #ending = false;
  #freezeTimer: NodeJS.Timeout | undefined;
  #frozen = false;
  #busy = true;
  /** Freezing and thawing, one after the other. */
  #changing: Promise<void> = Promise.resolve();

  /** Starts a helper that waits for a server. @throws OrbError `sandbox-failed` */
  static async open(plan: ContainerPlan, options: RelayChannelOptions, dependencies: { readonly engine: Engine }): Promise<RelayChannel> {
    const { engine } = dependencies;
    const relay = await engine.create(hardenedContainer(plan));
    try {
      const stream = await engine.attach(relay, true);
      await engine.start(relay);
      return new RelayChannel(relay, stream, options, engine);
    } catch (error) {
      await engine.remove(relay);
      throw error;
    }
  }

  private constructor(relay: Container, stream: Socket, options: RelayChannelOptions, engine: Engine) {
    this.#relay = relay;
    this.#stream = stream;
    this.#options = options;
    this.#engine = engine;
    stream.pause();
  }

  /** True when it can be used no more. */
  get ended(): boolean {
    return this.#ending;
  }

  /** Puts the function's container beside the helper. @throws OrbError `load-failed`, `sandbox-failed` */
  async startServer(plan: Omit<ContainerPlan, 'beside' | 'stdin'>): Promise<void> {
    const server = await this.#engine.create(hardenedContainer({ ...plan, stdin: false, beside: this.#relay.id }));
    this.#server = server;
    this.#output = await this.#engine.attach(server, false);
    this.#readPrinted(this.#output);
    const exit = server.wait({ condition: 'next-exit' });
    await this.#engine.start(server);
    exit.then(
      () => this.#endWith(server),
      () => this.#end({ reason: 'The Docker Engine has gone.', outOfMemory: false }),
    );
    const { State: state } = await this.#engine.inspect(server);
    this.#meter = new ContainerMeter(server, state.Pid);
  }

  listen(onBytes: (bytes: Uint8Array) => void, onEnd: (end: ChannelEnd) => void): void {
    this.#onBytes = onBytes;
    this.#onEnd = onEnd;
    const reader = new StreamReader({
      stdout: (bytes) => this.#onBytes?.(bytes),
      stderr: (bytes) => {
        this.#complaint.push(bytes);
        if (this.#complaint.bytes > relayStderrBytes) this.kill();
      },
    });
    this.#stream.on('data', (bytes: Buffer) => reader.push(bytes));
    this.#stream.once('close', () => void this.#endWith(this.#server));
    this.#stream.once('end', () => void this.#endWith(this.#server));
    this.#stream.resume();
  }

  onLine(listener: (level: number, line: string) => void): void {
    this.#onLine = listener;
  }

  write(bytes: Uint8Array): void {
    if (!this.#ending) this.#stream.write(bytes);
  }

  async drained(): Promise<void> {
    if (this.#ending || this.#stream.writableLength < highWaterBytes) return;
    await new Promise<void>((resolve) => this.#stream.once('drain', resolve).once('close', () => resolve()));
  }

  kill(): void {
    this.#end({ reason: 'The instance was stopped.', outOfMemory: false });
  }

  busy(active: boolean): void {
    this.#busy = active;
    clearTimeout(this.#freezeTimer);
    if (active && this.#frozen) this.#change(false);
    if (!active && !this.#ending) this.#freezeTimer = setTimeout(() => this.#change(true), this.#options.freezeAfterMs).unref();
  }

  usage(): ChannelUsage {
    this.#last = this.#meter?.usage() ?? this.#last;
    return this.#last;
  }

  /** Work that was left running after the last answer gets no more of the owner's processor. */
  #change(freeze: boolean): void {
    const server = this.#server;
    if (!server || (freeze && this.#busy)) return;
    this.#frozen = freeze;
    this.#changing = this.#changing
      .then(async () => {
        if (!this.#ending) await (freeze ? server.pause() : server.unpause());
      })
      .catch(() => {
        // An engine that cannot freeze leaves it at the lowest weight.
      });
  }

  /** What a server prints goes to its owner's log, no faster than anybody could read; its last words explain its end. */
  #readPrinted(output: Socket): void {
    const keep = (level: number) => {
      const cutter = new LineCutter(logLimits.lineBytes, (line) => this.#onLine?.(level, line));
      return (bytes: Uint8Array) => {
        this.#printed.push(bytes);
        cutter.push(bytes);
      };
    };
    const reader = new StreamReader({ stdout: keep(printedLevels.stdout), stderr: keep(printedLevels.stderr) });
    let sinceMs = performance.now();
    let bytesSince = 0;
    output.on('data', (bytes: Buffer) => {
      reader.push(bytes);
      const nowMs = performance.now();
      if (nowMs - sinceMs > 1_000) [sinceMs, bytesSince] = [nowMs, 0];
      bytesSince += bytes.length;
      if (bytesSince < printedPerSecond) return;
      output.pause();
      setTimeout(() => output.resume(), 1_000).unref();
    });
  }

  /** The function's container has ended, or the helper: says why, as far as it can be known. */
  async #endWith(server: Container | undefined): Promise<void> {
    if (this.#ending) return;
    const unknown = { reason: 'The helper of the container has ended.', outOfMemory: false };
    if (!server) return this.#end(unknown);
    try {
      const info = await this.#engine.inspectEnded(server);
      const said = info.State.OOMKilled ? '' : this.#complaint.toString();
      const [, wrong] = unwell.exec(said) ?? [];
      if (wrong !== undefined) return this.#end({ reason: `The server in the container was not well: ${wrong}.`, outOfMemory: false });
      if (said.includes(goneWords)) return this.#end({ reason: 'Nothing listens on $PORT in the container any more.', outOfMemory: false });
      this.#end(describeEnd(info, this.#printed.toString()));
    } catch {
      this.#end(unknown);
    }
  }

  #end(end: ChannelEnd): void {
    if (this.#ending) return;
    this.#ending = true;
    clearTimeout(this.#freezeTimer);
    this.usage();
    this.#meter?.close();
    void this.#remove().then(() => this.#onEnd?.(end));
  }

  async #remove(): Promise<void> {
    await this.#changing;
    this.#stream.destroy();
    this.#output?.destroy();
    // A frozen process cannot be seen off by the end of its namespace: its own container goes first.
    if (this.#server) await this.#engine.remove(this.#server);
    await this.#engine.remove(this.#relay);
  }
}
