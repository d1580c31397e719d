import { Dialog } from '../ui/Dialog.js';

const KEYS: readonly [string, readonly (readonly [string, string])[]][] = [
  ['Everywhere', [['1 2 3', 'instances, workflows, executors'], ['?', 'this list'], ['Esc', 'close what is open']]],
  ['Instances', [['/', 'search by name'], ['j k ↓ ↑', 'next and previous'], ['Enter', 'open'], ['n', 'start a workflow']]],
  ['One instance', [['↓ ↑', 'walk the tree'], ['→ ←', 'open and close a group'], ['Enter', 'show the task'], ['t', 'tree or timeline'], ['f', 'only what failed']]],
];

export function Shortcuts({ onClose }: { onClose: () => void }) {
  return (
    <Dialog title="Keyboard" onClose={onClose}>
      <div className="shortcuts">
        {KEYS.map(([where, keys]) => (
          <section key={where}>
            <h3>{where}</h3>
            <dl>
              {keys.map(([key, does]) => (
                <div key={key}>
                  <dt>
                    {key.split(' ').map((one) => (
                      <kbd key={one}>{one}</kbd>
                    ))}
                  </dt>
                  <dd>{does}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
    </Dialog>
  );
}
