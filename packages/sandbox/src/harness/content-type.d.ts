/** Types of content-type.js for the host's side. */
export declare function contentTypeOf(body: Uint8Array): string | undefined;
