import type { Clock } from './clock.js';

export type Token = string | null | undefined;
export type GetToken = () => Token | Promise<Token>;

/** So long before a token expires it is renewed, or a fifth of its life if that is less. */
const MARGIN = 60_000;
const SHARE = 0.2;

/**
 * The token of a client, asked for once by everyone who needs it, and again before it expires.
 *
 * Whether a token is good is the server's to say: one that has expired by our clock, which may be wrong, is still
 * presented if nothing newer is to be had.
 */
export class Tokens {
  #get: GetToken | undefined;
  #fixed: Token;
  #clock: Clock;
  #current: string | null = null;
  #renewAt = 0;
  #asking: Promise<string | null> | null = null;

  constructor(options: { token?: Token; getToken?: GetToken | undefined }, clock: Clock) {
    this.#fixed = options.token;
    this.#get = options.getToken;
    this.#clock = clock;
  }

  /** Whether another one can be asked for. */
  get isRenewable(): boolean {
    return this.#get !== undefined;
  }

  /** When the current one has to be renewed, ms since epoch; Infinity if never. */
  get renewAt(): number {
    return this.#current === null ? Infinity : this.#renewAt;
  }

  /** The current one; it is asked for if there is none, or if its time is near. Rejects with what `getToken` throws. */
  async get(): Promise<string | null> {
    if (!this.#get) return this.#fixed || null;
    if (this.#current !== null && this.#clock.now() < this.#renewAt) return this.#current;
    return this.renew();
  }

  /** Another one, whatever there is. */
  renew(): Promise<string | null> {
    const get = this.#get;
    if (!get) return Promise.resolve(this.#fixed || null);
    this.#asking ??= (async () => {
      try {
        const token = (await get()) || null;
        this.#current = token;
        this.#renewAt = token === null ? Infinity : renewalOf(token, this.#clock.now());
        return token;
      } finally {
        this.#asking = null;
      }
    })();
    return this.#asking;
  }

  /** From now on it is this one, or is asked for in this way. */
  set(options: { token?: Token; getToken?: GetToken | undefined }): void {
    this.#fixed = options.token;
    this.#get = options.getToken;
    this.#current = null;
  }

  /** The server did not take it. */
  refuse(): void {
    this.#current = null;
  }
}

function renewalOf(token: string, now: number): number {
  const expiry = expiryOf(token);
  if (expiry === null) return Infinity;
  const life = expiry - now;
  return life <= 0 ? Infinity : expiry - Math.min(MARGIN, life * SHARE);
}

/** When a JWT expires, ms since epoch; null if it does not say, or is no JWT. */
export function expiryOf(token: string): number | null {
  const payload = token.split('.')[1];
  if (!payload) return null;
  try {
    const { exp } = JSON.parse(atob(payload.replace(/-/g, '+').replace(/_/g, '/'))) as { exp?: unknown };
    return typeof exp === 'number' && Number.isFinite(exp) ? exp * 1000 : null;
  } catch {
    return null;
  }
}
