import { useConnection, useTaskpath } from '@taskpath/react';
import { useEffect, useState } from 'react';
import { ExecutorsPage } from '../executors/ExecutorsPage.js';
import { InstancePage } from '../instance/InstancePage.js';
import { InstancesPage } from '../instances/InstancesPage.js';
import { Notices } from '../ui/notices.js';
import { WorkflowsPage } from '../workflows/WorkflowsPage.js';
import type { Place } from './address.js';
import { listAddress } from './address.js';
import { Away, Connection } from './Connection.js';
import { useKeys } from './keys.js';
import { Link, go, usePlace } from './router.js';
import { Shortcuts } from './Shortcuts.js';
import { SignIn } from './SignIn.js';
import { ThemeSwitch } from './theme.js';

/** The page: where one is, and what stands around it. */
export function App() {
  const place = usePlace();
  const { name } = useConnection();
  const [isHelping, help] = useState(false);
  useKeys({ '?': () => help(true), '1': () => go('/'), '2': () => go('/workflows'), '3': () => go('/executors') });
  // Also where nothing is watched: the page says how the connection is.
  const { connection } = useTaskpath();
  useEffect(() => connection.hold(), [connection]);
  const denied = name === 'denied';
  return (
    <>
      <a className="skip" href="#main" onClick={(event) => { event.preventDefault(); document.getElementById('main')?.focus(); }}>
        Skip to the content
      </a>
      <header className="top">
        <Link className="brand" href="/">
          <img src="/icon.svg" alt="" width="20" height="20" /> Taskpath
        </Link>
        <nav aria-label="Pages">
          <Tab href={listAddress()} isHere={place.page === 'instances' || place.page === 'instance'}>Instances</Tab>
          <Tab href="/workflows" isHere={place.page === 'workflows'}>Workflows</Tab>
          <Tab href="/executors" isHere={place.page === 'executors'}>Executors</Tab>
        </nav>
        <span className="spring" />
        <Connection />
        <button type="button" className="icon-button help" aria-label="Keyboard shortcuts" title="Keyboard shortcuts" onClick={() => help(true)}>?</button>
        <ThemeSwitch />
      </header>
      <Away />
      <main id="main" tabIndex={-1}>
        {denied ? <SignIn /> : <Shown place={place} />}
      </main>
      <Notices />
      {isHelping ? <Shortcuts onClose={() => help(false)} /> : null}
    </>
  );
}

function Tab({ href, isHere, children }: { href: string; isHere: boolean; children: string }) {
  return (
    <Link href={href} aria-current={isHere ? 'page' : undefined}>
      {children}
    </Link>
  );
}

function Shown({ place }: { place: Place }) {
  switch (place.page) {
    case 'instances':
      return <InstancesPage filter={place.filter} />;
    case 'instance':
      return <InstancePage {...place} />;
    case 'workflows':
      return <WorkflowsPage name={place.name} />;
    case 'executors':
      return <ExecutorsPage />;
    case 'nowhere':
      return (
        <section className="state">
          <h1>There is no such page</h1>
          <p>
            <Link href="/">All instances</Link>
          </p>
        </section>
      );
  }
}
