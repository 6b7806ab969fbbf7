import { resolve } from 'node:path';
import { OrbError } from '@orb/protocol';
import { Orb, type Owner } from '@orb/sdk';
import { FunctionFiles } from '../deploy/function-files.ts';
import { KeyStore } from '../key-store/key-store.ts';
import { createPassphraseSource } from '../key-store/passphrase.ts';
import { SourcePlaces } from '../logs/source-places.ts';
import { createProgress, type Progress } from '../terminal/progress.ts';
import type { Terminal } from '../terminal/terminal.ts';
import { defaultGateway, readProfile, writeProfile, type Profile } from './profile.ts';

/** Options that every command takes. */
export interface GlobalOptions {
  readonly json?: boolean;
  readonly verbose?: boolean;
  readonly gateway?: string;
  readonly account?: string;
  readonly passphraseFile?: string;
}

export interface SessionDependencies {
  readonly terminal: Terminal;
  /** Aborts on Ctrl-C. */
  readonly signal: AbortSignal;
  /** ORB_HOME, absolute. */
  readonly home: string;
}

/** One run of one command: its options, its home, and the network as its account sees it. */
export class Session {
  readonly options: GlobalOptions;
  readonly terminal: Terminal;
  readonly signal: AbortSignal;
  readonly home: string;
  readonly keys: KeyStore;
  readonly progress: Progress;

  constructor(options: GlobalOptions & { readonly passphrase?: boolean }, { terminal, signal, home }: SessionDependencies) {
    this.options = options;
    this.terminal = terminal;
    this.signal = signal;
    this.home = resolve(home);
    this.keys = new KeyStore(
      { home: this.home },
      createPassphraseSource({ ask: options.passphrase, file: options.passphraseFile }, terminal),
    );
    this.progress = createProgress(terminal, options.json);
  }

  /** The same command's session, speaking to this gateway. */
  at(gateway: string): Session {
    const { terminal, signal, home } = this;
    return new Session({ ...this.options, gateway }, { terminal, signal, home });
  }

  /** Prints a result: as JSON with `--json`, else as people read it. Amounts in JSON are base units, as decimal strings. */
  result(value: unknown, human: () => string): void {
    this.terminal.print(
      this.options.json
        ? JSON.stringify(value, (_, member: unknown) => (typeof member === 'bigint' ? String(member) : member), 2)
        : human(),
    );
  }

  /** Addresses of super nodes, in order of preference: several, with commas between them, where they are known. */
  async gateways(): Promise<readonly string[]> {
    return (await this.gateway())
      .split(',')
      .map((url) => url.trim())
      .filter(Boolean);
  }

  async gateway(): Promise<string> {
    const profile = await readProfile(this.home);
    return this.#chosenGateway ?? profile.gateway ?? profile.local?.gateway ?? defaultGateway;
  }

  /** The network of this computer, unless the command line or the environment names another. */
  async localGateway(): Promise<string> {
    return this.#chosenGateway ?? (await readProfile(this.home)).local?.gateway ?? defaultGateway;
  }

  get #chosenGateway(): string | undefined {
    return this.options.gateway ?? (this.terminal.streams.env['ORB_GATEWAY'] || undefined);
  }

  /** The network, without an account. */
  async orb(): Promise<Orb> {
    const url = await this.gateways();
    return new Orb({ url, ...chainOf(await readProfile(this.home), url) });
  }

  /** The network as the chosen account, whose key is opened. @throws OrbError `key-store` when there is none */
  async orbAs(name?: string): Promise<{ readonly orb: Orb; readonly owner: Owner; readonly name: string }> {
    const chosen = name ?? (await this.accountName());
    const owner = await this.keys.openAccount(chosen);
    const url = await this.gateways();
    const orb = new Orb({ url, account: owner, ...chainOf(await readProfile(this.home), url) });
    await this.#pinChain(orb);
    return { orb, owner, name: chosen };
  }

  /**
   * `--account`, else ORB_ACCOUNT, else the default account, else on this computer's own network the one that it has
   * made, else the only one there is. @throws OrbError `key-store`
   */
  async accountName(): Promise<string> {
    const profile = await readProfile(this.home);
    const chosen = this.options.account ?? this.terminal.streams.env['ORB_ACCOUNT'] ?? profile.account;
    if (chosen !== undefined) return chosen;
    const local = profile.local?.gateway.split(',') ?? [];
    if (profile.local && (await this.gateway()).split(',').every((url) => local.includes(url))) return profile.local.account;
    const names = await this.keys.accounts();
    if (names.length === 1) return names[0]!;
    throw names.length === 0
      ? new OrbError('key-store', { message: 'There is no account on this machine yet.', hint: 'Make one: orb account create NAME' })
      : new OrbError('key-store', {
          message: `Which account? There are ${names.join(', ')}.`,
          hint: 'Choose one for now with --account NAME, or for good with orb account use NAME.',
        });
  }

  /** `OWNER/NAME` as it is; `NAME` is a function of the chosen account. */
  async ownPath(path: string): Promise<string> {
    return path.includes('/') ? path : `${await this.accountName()}/${path}`;
  }

  /** As `ownPath`, for who may be without an account: then `NAME` stays as it is, and is refused as a path. */
  async callPath(path: string): Promise<string> {
    return (await this.keys.accounts()).length === 0 ? path : this.ownPath(path);
  }

  /** Places in the sources of a function that was deployed from here. @param path `OWNER/NAME` */
  sourcePlaces(path: string): SourcePlaces {
    const [owner = '', name = ''] = path.split('/');
    const files = new FunctionFiles({ home: this.home }, { keys: this.keys });
    return new SourcePlaces((version) => files.sourceMapPath({ owner, name }, version));
  }

  async changeProfile(change: (profile: Profile) => Profile): Promise<void> {
    await writeProfile(this.home, change(await readProfile(this.home)));
  }

  /** The first signature at an address binds it to its network: a swapped server is noticed from then on. */
  async #pinChain(orb: Orb): Promise<void> {
    const { chain } = await orb.network();
    const { url } = orb;
    const profile = await readProfile(this.home);
    if (profile.chains[url] !== chain) await writeProfile(this.home, { ...profile, chains: { ...profile.chains, [url]: chain } });
  }
}

/** Super nodes that are named together are one network's: what is known of one holds for all. */
function chainOf(profile: Profile, urls: readonly string[]): { chain?: string } {
  const chain = urls.map((url) => profile.chains[url]).find((known) => known !== undefined);
  return chain === undefined ? {} : { chain };
}
