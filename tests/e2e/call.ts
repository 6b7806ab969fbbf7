export interface CallRequest {
  /** @default POST with a body, else GET */
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
  /** Sent as JSON, as a bare event. */
  readonly event?: unknown;
  readonly signal?: AbortSignal;
}

/** An answer as a caller has it, whole. */
export interface CallAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly bytes: Uint8Array;
  readonly text: string;
  /** The body as JSON. */
  readonly json: unknown;
  readonly job: string;
  readonly node: string;
  readonly attempt: number;
  /** The error of a refusal, in the one form of the API. */
  readonly error: {
    readonly code: string;
    readonly message: string;
    readonly hint?: string;
    readonly faultOf: string;
    readonly retryable: boolean;
  };
}

/** Calls a function over HTTP and reads the whole answer. @throws TypeError when it breaks off */
export async function call(url: string, { method, headers = {}, body, event, signal }: CallRequest): Promise<CallAnswer> {
  const payload = event === undefined ? body : JSON.stringify(event);
  const response = await fetch(url, {
    method: method ?? (payload === undefined ? 'GET' : 'POST'),
    headers: { ...(event !== undefined && { 'content-type': 'application/json', 'orb-mode': 'event' }), ...headers },
    ...(payload !== undefined && { body: payload as Uint8Array<ArrayBuffer> }),
    ...(signal && { signal }),
  });
  const bytes = new Uint8Array(await response.arrayBuffer());
  const text = new TextDecoder().decode(bytes);
  const json = parse(text);
  return {
    status: response.status,
    headers: response.headers,
    bytes,
    text,
    json,
    job: response.headers.get('orb-job') ?? '',
    node: response.headers.get('orb-node') ?? '',
    attempt: Number(response.headers.get('orb-attempt')),
    error: ((json as { error?: unknown } | undefined)?.error ?? {}) as CallAnswer['error'],
  };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
