import { Taskpath, TaskpathProvider } from '@taskpath/react';
import { createRoot } from 'react-dom/client';
import { App } from './app/App.js';
import { savedToken } from './app/access.js';
import './style/theme.css';
import './style/controls.css';
import './style/page.css';

const client = new Taskpath({ token: savedToken() });
const root = document.getElementById('root');
if (!root) throw new Error('The page has no root.');
createRoot(root).render(
  <TaskpathProvider client={client}>
    <App />
  </TaskpathProvider>,
);
