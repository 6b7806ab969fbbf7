/** Types of which a browser runs nothing, said in full: where two are said, it may believe the second. */
const inert =
  /^(?:application\/(?:json|octet-stream)|text\/(?:plain|event-stream|css|csv|javascript)|(?:image|audio|video|font)\/[a-z0-9.-]+)(?:; ?charset=[\w-]+)?$/i;

/**
 * All functions of a super node are below one address, and so of one origin for a browser: a page of one could read what
 * another's keeps there, and call it with the cookies of whoever looks at it. In a sandbox without `allow-same-origin` each
 * page is of an origin of its own (HTML standard, 7.5 sandboxing).
 */
export const pageSandbox = 'sandbox allow-downloads allow-forms allow-modals allow-popups allow-scripts';

/** Whether a browser might show an answer as a page of its own: also where it has to guess. */
export function isPage(contentType: string | undefined): boolean {
  return contentType === undefined || !inert.test(contentType);
}
