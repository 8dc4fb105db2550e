import { Writable } from 'node:stream';
import { stripVTControlCharacters } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  age,
  counted,
  duration,
  errorLine,
  left,
  paint,
  right,
  table,
  wrap,
  writeError,
} from '../../src/cli/output.ts';
import { Progress, waiting } from '../../src/cli/progress.ts';
import { StateError } from '../../src/model/errors.ts';
import { captured } from './support.ts';

describe('the line of an error', () => {
  it('has the code and the message, whatever lines that had', () => {
    const line = errorLine(new StateError('READ_FAILED', 'a file\n  cannot be read:\r\n disk'));
    expect(line).toBe('holdfast: READ_FAILED: a file cannot be read: disk');
  });

  it('names the place of one that nobody foresaw', () => {
    expect(errorLine(new TypeError('x is not a function'))).toMatch(
      /^holdfast: UNEXPECTED: x is not a function \(.*output\.test\.ts:\d+:\d+\)?.*; --verbose shows the whole stack$/,
    );
    expect(errorLine('text')).toBe('holdfast: UNEXPECTED: text');
  });

  it('is followed by stacks, causes too, only where that was asked for', async () => {
    const error = new StateError('OUTER', 'outer', { cause: new Error('inner') });
    const write = (verbose: boolean) =>
      captured(async () => {
        writeError(error, verbose);
        return 2;
      });
    expect((await write(false)).stderr).toBe('holdfast: OUTER: outer\n');
    expect((await write(true)).stderr).toMatch(/outer[\s\S]+caused by: Error: inner/);
  });
});

describe('text for people', () => {
  it('stands in columns, numbers on the right, also where a cell is coloured', () => {
    const shown = table(
      [left('name'), right('count')],
      [
        ['a', '1'],
        ['longer', '\u001b[31m1000\u001b[39m'],
      ],
    );
    expect(stripVTControlCharacters(shown).split('\n')).toEqual([
      'name    count',
      '------  -----',
      'a           1',
      'longer   1000',
    ]);
  });

  it('is broken between words and loses none', () => {
    fc.assert(
      fc.property(fc.array(fc.stringMatching(/^[a-z]{1,30}$/)), fc.integer({ min: 1, max: 60 }), (words, width) => {
        const lines = wrap(words.join(' '), width);
        expect(lines.join(' ')).toBe(words.join(' '));
        for (const line of lines) expect(line.length <= width || !line.includes(' ')).toBe(true);
      }),
    );
  });

  it('is plain where there is no terminal', () => {
    expect(paint('red', 'text', new Writable() as unknown as NodeJS.WriteStream)).toBe('text');
  });

  it.each([
    [0, '0 ms'],
    [999, '999 ms'],
    [12_345, '12.3 s'],
    [240_000, '4 min'],
    [11_520_000, '3.2 h'],
    [432_000_000, '5 d'],
    [-5000, '-5.0 s'],
  ])('tells %i ms as %s', (ms, text) => {
    expect(duration(ms)).toBe(text);
  });

  it('takes a moment from now for no age, and tells of a clock that is wrong', () => {
    expect([-27, 27, -3_600_000].map(age)).toEqual(['0 ms', '27 ms', '-1.0 h']);
  });

  it('counts', () => {
    expect([counted(1, 'order'), counted(73_826, 'order'), counted(0, 'discrepancy', 'discrepancies')]).toEqual([
      '1 order',
      '73,826 orders',
      '0 discrepancies',
    ]);
  });
});

describe('progress', () => {
  function screen(isTTY: boolean) {
    const written: string[] = [];
    const stream = { isTTY, columns: 20, write: (text: string) => written.push(text) > 0 };
    return { written, stream: stream as unknown as NodeJS.WriteStream };
  }

  it('is one line on a terminal that is gone afterwards', () => {
    const { written, stream } = screen(true);
    const progress = new Progress(stream);
    progress.show('a line that is longer than the screen');
    progress.clear();
    progress.clear();
    expect(written).toEqual(['a line that is long', '\r\u001b[2K']);
  });

  it('is nothing elsewhere', () => {
    const { written, stream } = screen(false);
    const progress = new Progress(stream);
    progress.show('text');
    progress.clear();
    expect(written).toEqual([]);
  });

  it('passes on what is waited for, and what goes wrong', async () => {
    expect(await waiting('nothing', async () => 7)).toBe(7);
    await expect(waiting('nothing', () => Promise.reject(new Error('gone')))).rejects.toThrow('gone');
  });
});
