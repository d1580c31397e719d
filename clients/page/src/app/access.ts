/** The token that an operator has given, as long as the tab is there. */
const NAME = 'taskpath.token';

export function savedToken(): string | null {
  try {
    return sessionStorage.getItem(NAME);
  } catch {
    return null;
  }
}

export function saveToken(token: string | null): void {
  try {
    if (token) sessionStorage.setItem(NAME, token);
    else sessionStorage.removeItem(NAME);
  } catch {
    // It is asked for again the next time.
  }
}
