/** JSON that is text already: a header or trailer that its sender has written once, for a journal or a hash, and need not write again. */
export class JsonText {
  readonly text: string;

  /** @param text well-formed JSON: the other side closes the link for anything else */
  constructor(text: string) {
    this.text = text;
  }
}

/** What a header, trailer or notice is as JSON. */
export function jsonOf(value: unknown): string {
  return value instanceof JsonText ? value.text : (JSON.stringify(value) ?? 'null');
}
