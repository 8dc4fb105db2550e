import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  encodeGroup,
  encodeRecord,
  groupBytesMax,
  groupIsWhole,
  parseHeader,
  parseSegmentName,
  segmentName,
} from '../../src/persistence/journal-format.ts';
import { decodeRecords } from '../../src/persistence/journal-records.ts';
import { scanSegment } from '../../src/persistence/journal-scan.ts';
import type { JournalRecord } from '../../src/persistence/records.ts';
import { at } from './journal-fixtures.ts';

const header = { group: 1, segment: 3, epoch: 7, first: 10, last: 12, strategies: 2 };
const count = fc.nat({ max: Number.MAX_SAFE_INTEGER });
const record: fc.Arbitrary<JournalRecord> = fc.oneof(
  fc.record({ kind: fc.constant('heartbeat' as const), at: fc.string() }),
  fc.record({ kind: fc.constant('ready' as const), base: count, strategies: count, at: fc.constant(at(1)) }),
  fc.record({
    kind: fc.constant('segment' as const),
    format_version: fc.constant(1),
    epoch: count,
    incarnation: count,
    from: fc.option(fc.record({ epoch: count, sequence: count })),
    base: count,
    at: fc.constant(at(1)),
  }),
  fc.record({
    kind: fc.constant('delta' as const),
    previous: fc.nat(),
    through: fc.integer({ min: 2 ** 31, max: 2 ** 33 }),
    at: fc.constant(at(1)),
    strategies: fc.array(
      fc.record({
        strategy: fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9_-]{0,20}$/),
        state: fc.array(fc.tuple(fc.string({ unit: 'binary' }), fc.jsonValue() as fc.Arbitrary<never>)),
      }),
    ),
  }),
);

describe('a journal group', () => {
  it('gives back the records that it was made of', () => {
    fc.assert(
      fc.property(fc.array(record, { minLength: 1 }), (records) => {
        const bytes = encodeGroup(header, records.map(encodeRecord));
        const parsed = parseHeader(bytes, 0);
        expect(parsed?.header).toMatchObject(header);
        if (parsed === null) return;
        expect(groupIsWhole(bytes, 0, parsed)).toBe(true);
        const decoded = decodeRecords(bytes, parsed.length, parsed.header.bytes);
        expect(decoded).toEqual(JSON.parse(JSON.stringify(records)));
      }),
    );
  });

  it('is a line of JSON and then lines of JSON, for people to read', () => {
    const text = encodeGroup(header, ['{"kind":"heartbeat","at":"x"}\n']).toString();
    expect(text).toBe(
      '{"group":1,"segment":3,"epoch":7,"first":10,"last":12,"strategies":2,"bytes":30,"crc":"999a9de1"}\n{"kind":"heartbeat","at":"x"}\n',
    );
  });

  it('is what the documentation shows', () => {
    const page = readFileSync(new URL('../../docs/internals/file-formats.md', import.meta.url), 'utf8');
    const example = Buffer.from(/```jsonl\n([^`]*)```/.exec(page)?.[1] ?? '');
    const parsed = parseHeader(example, 0);
    expect(parsed !== null && groupIsWhole(example, 0, parsed)).toBe(true);
    expect(decodeRecords(example, parsed?.length ?? 0, parsed?.header.bytes ?? 0)).toHaveLength(1);
    expect(example.length).toBe((parsed?.length ?? 0) + (parsed?.header.bytes ?? 0));
  });

  it.each([
    ['a claim beyond the limit', `"bytes":${groupBytesMax + 1},`],
    ['a number that is none of JSON', '"bytes":030,'],
    ['a number beyond what is exact', '"bytes":9999999999999999,'],
    ['a crc in capitals', '"bytes":30,'.concat('"CRC":')],
  ])('has no header with %s', (_name, replacement) => {
    const text = encodeGroup(header, ['{"kind":"heartbeat","at":"x"}\n']).toString('latin1');
    expect(parseHeader(Buffer.from(text.replace('"bytes":30,', replacement)), 0)).toBeNull();
  });

  it('has no header that is longer than the limit, and none that counts backwards', () => {
    expect(parseHeader(Buffer.from(`{"group":1${' '.repeat(500)}}\n`), 0)).toBeNull();
    expect(parseHeader(encodeGroup({ ...header, last: 9 }, ['\n']), 0)).toBeNull();
  });

  it('is not found whatever random bytes a segment holds', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 500 }), (bytes) => {
        const scan = scanSegment(Buffer.from(bytes), { epoch: 7, first: 10, segment: null });
        expect(scan.groups).toEqual([]);
        expect(scan.damages.length).toBe(bytes.some((byte) => byte !== 0) ? 1 : 0);
      }),
    );
  });
});

describe('records of a group whose CRC is right', () => {
  it.each([
    ['no line feed at the end', '{"kind":"heartbeat","at":"x"}'],
    ['no JSON', 'x\n'],
    ['no object', '[]\n'],
    ['an unknown kind', '{"kind":"toString"}\n'],
    ['a kind of Object.prototype', '{"kind":"__proto__"}\n'],
    ['a delta that goes back', '{"kind":"delta","previous":3,"through":2,"at":"x","strategies":[]}\n'],
    ['a fraction', '{"kind":"delta","previous":0.5,"through":2,"at":"x","strategies":[]}\n'],
    [
      'a name that is a path',
      '{"kind":"delta","previous":0,"through":2,"at":"x","strategies":[{"strategy":"../x"}]}\n',
    ],
    ['positions without an asset', delta('"positions":[{}]')],
    ['orders that are no list', delta('"orders":{}')],
    ['events without a kind', delta('"events":[1]')],
    ['cash that is no pair', delta('"cash":[["USD"]]')],
    ['removed keys that are no text', delta('"state_removed":[1]')],
    ['a halt that is no object', delta('"halt":1')],
    ['a cursor that is no object', delta('"cursor":null')],
    ['marks that are no pairs', '{"kind":"delta","previous":0,"through":2,"at":"x","strategies":[],"marks":[1]}\n'],
    ['a segment without a version', '{"kind":"segment","epoch":1,"base":0,"from":null}\n'],
    ['a segment with half a from', '{"kind":"segment","format_version":1,"epoch":1,"base":0,"from":{"epoch":1}}\n'],
    ['ready without a base', '{"kind":"ready","strategies":1}\n'],
    ['a list of files that is none', '{"kind":"checkpointed","at":"x"}\n'],
    ['a heartbeat without a time', '{"kind":"heartbeat"}\n'],
  ])('are refused with %s', (_name, text) => {
    const bytes = Buffer.from(text);
    expect(() => decodeRecords(bytes, 0, bytes.length)).toThrow(
      expect.objectContaining({ code: 'JOURNAL_RECORD_INVALID' }),
    );
  });

  it('are of a newer format where the segment says so', () => {
    const bytes = Buffer.from('{"kind":"segment","format_version":2}\n');
    expect(() => decodeRecords(bytes, 0, bytes.length)).toThrow(expect.objectContaining({ code: 'FORMAT_NEWER' }));
  });
});

describe('the name of a segment', () => {
  it('is read as it is written, and nothing else is', () => {
    for (const name of [
      { epoch: 0, first: 0, segment: null },
      { epoch: 12, first: 345, segment: 6 },
    ]) {
      expect(parseSegmentName(segmentName(name))).toEqual(name);
    }
    for (const file of [
      '1-0.journal~',
      '01-0.journal',
      '1-0-0.journal',
      '1.journal',
      '1-9999999999999999.journal',
      'x1-0.journal',
    ]) {
      expect(parseSegmentName(file), file).toBeNull();
    }
  });
});

function delta(field: string): string {
  return `{"kind":"delta","previous":0,"through":2,"at":"x","strategies":[{"strategy":"alpha",${field}}]}\n`;
}
