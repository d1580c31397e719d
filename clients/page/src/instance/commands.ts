/** What an operator does to an instance or a path, and what is offered when it is refused. */
import { type Taskpath, TaskpathError } from '@taskpath/react';
import { type ExecuteOptions, paths } from '@taskpath/react/core';
import { useCallback, useState } from 'react';
import { instanceAddress, listAddress } from '../app/address.js';
import { go } from '../app/router.js';
import { type Offer, notify, notifyError } from '../ui/notices.js';
import { useLive } from './live.js';

export interface Commands {
  readonly isPending: boolean;
  /** Resolves to whether it was accepted. */
  run(options: ExecuteOptions): Promise<boolean>;
  cancel(path: string): Promise<boolean>;
  remove(): Promise<boolean>;
}

export function useCommands(): Commands {
  const { client, id } = useLive();
  const [pending, setPending] = useState(0);
  const attempt = useCallback(async (call: () => Promise<unknown>, offers: (error: TaskpathError) => Offer[]) => {
    setPending((count) => count + 1);
    try {
      await call();
      return true;
    } catch (error) {
      notifyError(error, error instanceof TaskpathError ? offers(error) : []);
      return false;
    } finally {
      setPending((count) => count - 1);
    }
  }, []);
  const run = useCallback(
    (options: ExecuteOptions) => attempt(() => client.execute(id, options), (error) => offersFor(client, id, options, error)),
    [attempt, client, id],
  );
  const cancel = useCallback((path: string) => attempt(() => client.cancel(id, { path }), () => []), [attempt, client, id]);
  const remove = useCallback(
    () =>
      attempt(async () => {
        await client.api.remove(id);
        go(listAddress());
        notify('The instance was deleted.');
      }, () => []),
    [attempt, client, id],
  );
  return { isPending: pending > 0, run, cancel, remove };
}

function offersFor(client: Taskpath, id: string, options: ExecuteOptions, error: TaskpathError): Offer[] {
  const offers: Offer[] = [];
  const again = (label: string, upstream: 'run' | 'ignore'): Offer => ({
    label,
    act: () => void client.execute(id, { ...options, upstream }).catch(notifyError),
  });
  if (error.code === 'CANNOT_START_TASK') offers.push(again('Run what is missing first', 'run'), again('Run anyway', 'ignore'));
  const { path } = error;
  if (path && path !== paths.ROOT) offers.push({ label: `Show ${paths.lastStep(path)}`, act: () => go(instanceAddress(id, path)) });
  return offers;
}
