/** What was looked at, how it is, and how to mend it. */
export interface Finding {
  readonly name: string;
  /** `warn` works, but less well or only for now. */
  readonly state: 'good' | 'warn' | 'bad';
  readonly words: string;
  readonly mend?: string;
}
