import { expect, it } from 'vitest';
import { assertNode } from '../../src/cli/node-version.ts';

it.each(['24.11.0', '24.12.1', '26.0.0', '100.0.0'])('Node %s will do', (version) => {
  expect(() => assertNode(version)).not.toThrow();
});

it.each(['20.20.2', '22.12.0', '24.10.9', '9.0.0'])(
  'Node %s is too old, and it is said which one is needed',
  (version) => {
    expect(() => assertNode(version)).toThrow(
      expect.objectContaining({ code: 'NODE_TOO_OLD', message: expect.stringMatching(`Node ${version}.*24\\.11`) }),
    );
  },
);
