import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

/** React 18 lies beside the React 19 of the package, with a react-dom that finds it. */
function react18(file: string): string {
  return fileURLToPath(new URL(`./tests/react-18/node_modules/${file}`, import.meta.url));
}

export default defineConfig({
  test: {
    isolate: false,
    projects: [
      { test: { name: 'core', include: ['tests/core/**/*.test.ts'], environment: 'node' } },
      { test: { name: 'react 19', include: ['tests/react/**/*.test.tsx'], environment: 'jsdom', env: { REACT: '19' } } },
      {
        resolve: {
          alias: [
            { find: /^react$/, replacement: react18('react/index.js') },
            { find: /^react\/(.*)$/, replacement: react18('react/$1.js') },
            { find: /^react-dom\/(.*)$/, replacement: react18('react-dom/$1.js') },
          ],
        },
        test: { name: 'react 18', include: ['tests/react/**/*.test.tsx'], environment: 'jsdom', env: { REACT: '18' } },
      },
    ],
  },
});
