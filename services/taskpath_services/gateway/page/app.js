/** The page: what is common to all its views, and which one an address stands for. */
import { Api } from './api.js';
import { appearance } from './appearance.js';
import { Connection } from './connection.js';
import { connectivity } from './connectivity.js';
import { h } from './dom.js';
import { InstancePage } from './instance.js';
import { InstancesPage } from './instances.js';
import { Notices } from './notices.js';
import { fromFragment } from './paths.js';
import { StartDialog } from './start.js';

const main = document.querySelector('#page');
const api = new Api();
const connection = new Connection({ url: `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/ws` });
const notices = new Notices(document.querySelector('.notices'));
const start = new StartDialog({ api, navigate });
/** What the views share; `list` is the address of the list as it was last filtered. */
const parts = { api, connection, notices, start, navigate, list: '/' };

/** @type {{key: string, view: {element: Element, title: string, close: () => void}} | null} */
let current = null;

function navigate(to, { replace = false } = {}) {
  if (replace) history.replaceState(null, '', to);
  else history.pushState(null, '', to);
  route();
}

function route() {
  const path = fromFragment(location.hash);
  const instance = /^\/i\/([^/]+)\/?$/.exec(location.pathname);
  if (instance) {
    const id = decodeURIComponent(instance[1]);
    if (current?.key === `i ${id}`) current.view.select(path);
    else show(`i ${id}`, () => new InstancePage(parts, id, path));
  } else if (location.pathname === '/') {
    const shown = current?.key === 'list' && current.view.search === location.search;
    if (!shown) show('list', () => new InstancesPage(parts, new URLSearchParams(location.search)));
  } else {
    show('none', () => ({ element: h('div.empty', {}, 'There is no such page.'), title: 'Not found', close() {} }));
  }
}

function show(key, make) {
  current?.view.close();
  const first = current === null;
  current = { key, view: make() };
  document.title = `${current.view.title} · Taskpath`;
  main.replaceChildren(current.view.element);
  if (!first) {
    main.focus({ preventScroll: true });
    scrollTo(0, 0);
  }
}

document.addEventListener('click', (event) => {
  const link = event.target.closest?.('a[href]');
  if (!link || link.target || event.defaultPrevented || event.button !== 0) return;
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const to = new URL(link.href);
  if (to.origin !== location.origin || !(to.pathname === '/' || to.pathname.startsWith('/i/'))) return;
  event.preventDefault();
  navigate(to.pathname + to.search + to.hash);
});
addEventListener('popstate', route);
document.body.append(start.element);
appearance(document.querySelector('#theme'));
connectivity(document.querySelector('.connection'), connection);
connection.start();
route();
