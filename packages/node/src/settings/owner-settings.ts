import { applyChange, checkSettings, type Settings, type SettingsChange, type SettingsInput } from './settings.ts';
import { readSettings, writeSettings } from './settings-file.ts';

export interface OwnerSettingsOptions {
  /** The node's data folder. */
  readonly folder: string;
  /** What the command that starts the node says: it holds above the file, for this run, until it is changed. */
  readonly forThisRun: SettingsInput;
}

/** The owner's settings of a running node: read from a file, changed at any time, written before a change holds. */
export class OwnerSettings {
  readonly #folder: string;
  #said: SettingsInput;
  #forThisRun: SettingsInput;
  #now: Settings;
  #changing: Promise<unknown> = Promise.resolve();

  /** @throws OrbError `invalid-request` for a file or values that cannot be */
  constructor({ folder, forThisRun }: OwnerSettingsOptions) {
    this.#folder = folder;
    this.#said = readSettings(folder);
    this.#forThisRun = forThisRun;
    this.#now = checkSettings({ ...this.#said, ...forThisRun });
  }

  get now(): Settings {
    return this.#now;
  }

  /** What a change would make of them. @throws OrbError `invalid-request` naming what cannot be */
  after(change: SettingsChange): Settings {
    return this.#with(change).now;
  }

  /** Resolves when the change is on disk and holds. @throws OrbError `invalid-request` naming what cannot be */
  change(change: SettingsChange): Promise<void> {
    const changed = this.#changing.then(() => this.#change(change));
    this.#changing = changed.catch(() => undefined);
    return changed;
  }

  #with(change: SettingsChange): { readonly said: SettingsInput; readonly forThisRun: SettingsInput; readonly now: Settings } {
    const said = applyChange(this.#said, change);
    const forThisRun = Object.fromEntries(Object.entries(this.#forThisRun).filter(([name]) => !Object.hasOwn(change, name)));
    return { said, forThisRun, now: checkSettings({ ...said, ...forThisRun }) };
  }

  async #change(change: SettingsChange): Promise<void> {
    const { said, forThisRun, now } = this.#with(change);
    await writeSettings(this.#folder, said);
    this.#said = said;
    this.#forThisRun = forThisRun;
    this.#now = now;
  }
}

/** Changes the settings of a node that is not running. @throws OrbError `invalid-request` */
export async function changeSettingsFile(folder: string, change: SettingsChange): Promise<Settings> {
  const said = applyChange(readSettings(folder), change);
  await writeSettings(folder, said);
  return checkSettings(said);
}
