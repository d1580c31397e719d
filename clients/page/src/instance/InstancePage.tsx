import { useCallback, useState } from 'react';
import { type View, instanceAddress, listAddress } from '../app/address.js';
import { Link, go } from '../app/router.js';
import { useKeys } from '../app/keys.js';
import { IconButton } from '../ui/Button.js';
import { Head } from './Head.js';
import { LiveInstance, useLive, useSnapshot } from './live.js';
import type { Wanted } from './outline.js';
import { Overview } from './Overview.js';
import { Panel } from './Panel.js';
import { Tree, TreeFilter } from './Tree.js';
import { useDocument } from './useDocument.js';

export interface InstancePageProps {
  id: string;
  path: string | null;
  view: View;
}

/** One instance. */
export function InstancePage(props: InstancePageProps) {
  return (
    <LiveInstance key={props.id} id={props.id}>
      <Shown {...props} />
    </LiveInstance>
  );
}

function Shown({ id, path, view }: InstancePageProps) {
  const { status, error, isLoading, isDeleted, tree } = useSnapshot();
  const document = useDocument();
  const [wanted, setWanted] = useState<Wanted>(null);
  const [isAbout, setAbout] = useState(false);
  const select = useCallback((to: string | null) => go(instanceAddress(id, to, view)), [id, view]);
  const look = (as: View) => go(instanceAddress(id, path, as), { replace: true });
  useKeys({
    t: () => look(view === 'tree' ? 'timeline' : 'tree'),
    Escape: () => {
      if (path !== null) select(null);
      setAbout(false);
    },
    f: () => setWanted(wanted === 'failed' ? null : 'failed'),
  });
  if (error && status === null && !error.isTemporary) return <Unknown />;
  // What is deleted before anything was seen of it has left no more than how it ended.
  if (isDeleted && tree.tasks.length === 0) return <Ended />;
  return (
    <section className="instance-page" data-status={status ?? 'unknown'} data-selected={path !== null || isAbout} aria-busy={isLoading}>
      <Head document={document} />
      {isDeleted ? <p className="banner" role="status">This instance was deleted. What you see is how it was.</p> : null}
      {error && status === null ? <p className="banner" data-tone="bad" role="alert">{error.message} It is tried again.</p> : null}
      <div className="instance-body">
        <div className="tree-side">
          <div className="tree-tools">
            <div className="chips" role="group" aria-label="How tasks are shown">
              {(['tree', 'timeline'] as const).map((as) => (
                <button key={as} type="button" className="chip" aria-pressed={as === view} onClick={() => look(as)}>
                  {as === 'tree' ? 'Tree' : 'Timeline'}
                </button>
              ))}
            </div>
            <span className="spring" />
            <TreeFilter wanted={wanted} onChange={setWanted} />
            <IconButton icon="info" label="About this instance" className="only-narrow" onClick={() => setAbout(true)} />
          </div>
          <Tree selected={path} view={view} wanted={wanted} finishedAt={document.instance?.finishedAt ?? null} onSelect={select} />
        </div>
        <aside className="panel-side" aria-label="Details">
          {path === null ? (
            <>
              <IconButton icon="close" label="Close" className="only-narrow panel-close" onClick={() => setAbout(false)} />
              <Overview document={document} />
            </>
          ) : (
            <Panel key={path} path={path} onClose={() => select(null)} />
          )}
        </aside>
      </div>
    </section>
  );
}

/** An ephemeral instance that is over: of one that was deleted no more is remembered. */
function Ended() {
  const { id } = useLive();
  const { status } = useSnapshot();
  return (
    <section className="state" data-name="ended-instance">
      <h1>{status === null ? 'This instance was deleted' : `This instance has ended: ${status}`}</h1>
      <p>
        {status === null ? <><code>{id}</code> is there no more.</> : <><code>{id}</code> was ephemeral, so it was deleted when it ended.</>} <Link href={listAddress()}>All instances</Link>
      </p>
    </section>
  );
}

function Unknown() {
  const { id } = useLive();
  const { error } = useSnapshot();
  return (
    <section className="state" data-name="unknown-instance">
      <h1>{error?.code === 'UNKNOWN_INSTANCE' ? 'There is no such instance' : 'This instance cannot be shown'}</h1>
      <p>{error?.message}</p>
      <p>
        <code>{id}</code> may have been deleted, or belong to a realm that you do not see. <Link href={listAddress()}>All instances</Link>
      </p>
    </section>
  );
}
