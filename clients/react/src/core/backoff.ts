const FIRST = 500;
const LONGEST = 30_000;

/**
 * How long to wait before the next try, in ms. Half of it is left to chance, so that the clients of a gateway that
 * was restarted do not come back all at once.
 *
 * @param failures how many tries in a row have failed, from 1
 * @param random from 0 to 1
 */
export function backoff(failures: number, random: number): number {
  return Math.min(LONGEST, FIRST * 2 ** Math.max(0, failures - 1)) * (0.5 + random / 2);
}
