import { format } from '@taskpath/react';
import { instanceAddress, listAddress, NO_FILTER, workflowAddress } from '../app/address.js';
import { Link } from '../app/router.js';
import { Copy } from '../ui/Copy.js';
import { Json } from '../ui/Json.js';
import { useLive, useSnapshot } from './live.js';
import { Fact, Section } from './Panel.js';
import type { DocumentOf } from './useDocument.js';

/** What there is to know of the instance as a whole. */
export function Overview({ document }: { document: DocumentOf }) {
  const { id } = useLive();
  const { failure, status } = useSnapshot();
  const { instance } = document;
  return (
    <section className="panel overview" aria-label="About this instance">
      {failure && status === 'failed' ? (
        <section className="failure" aria-label="What failed first">
          <p className="what">{failure.error ? format.errorLine(failure.error) : 'A task has failed.'}</p>
          <p>
            <Link href={instanceAddress(id, failure.path)}>
              <code>{failure.path}</code>
            </Link>
          </p>
        </section>
      ) : null}
      <dl className="facts">
        <Fact name="id">
          <code>{id}</code> <Copy text={id} label="Copy the id" />
        </Fact>
        {instance ? (
          <>
            <Fact name="workflow">
              <Link href={workflowAddress(instance.workflow)}>{instance.workflow}</Link>
            </Fact>
            <Fact name="realm">
              <Link href={listAddress({ ...NO_FILTER, realm: instance.realm })}>{instance.realm}</Link>
            </Fact>
            <Fact name="created">{format.moment(instance.createdAt)}</Fact>
            <Fact name="started">{instance.startedAt === null ? null : format.moment(instance.startedAt)}</Fact>
            <Fact name="finished">{instance.finishedAt === null ? null : format.moment(instance.finishedAt)}</Fact>
            <Fact name="kept">{instance.ephemeral ? 'until it ends' : null}</Fact>
          </>
        ) : null}
      </dl>
      {instance ? (
        <>
          <Section name="data" title="Data" open>
            <Json value={instance.data} label="Data" />
          </Section>
          {isEmpty(instance.baseContext) ? null : (
            <Section name="baseContext" title="Base context">
              <Json value={instance.baseContext} label="Base context" />
            </Section>
          )}
        </>
      ) : document.error ? null : (
        <p className="hint">Reading…</p>
      )}
    </section>
  );
}

function isEmpty(value: unknown): boolean {
  return value === null || value === undefined || JSON.stringify(value) === '{}';
}
