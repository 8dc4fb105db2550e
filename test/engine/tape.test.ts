import { existsSync, readdirSync, readlinkSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openTape, type TapeOptions } from '../../src/engine/tape.ts';
import { FeedError } from '../../src/model/errors.ts';
import type { MarketEvent } from '../../src/model/market.ts';

let directory = '';
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tape-'));
});
afterAll(() => rm(directory, { recursive: true }));

async function write(name: string, content: string | Buffer): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, content);
  return path;
}

async function all(path: string, options?: TapeOptions): Promise<MarketEvent[]> {
  const events: MarketEvent[] = [];
  for await (const event of openTape(path, options)) events.push(event);
  return events;
}

async function refusal(path: string, options?: TapeOptions): Promise<FeedError> {
  const error: unknown = await all(path, options).catch((thrown: unknown) => thrown);
  if (error instanceof FeedError) return error;
  throw new Error(`expected a FeedError, got ${String(error)}`);
}

const header = 'recv_ns,venue,symbol,trade_id,exch_ms,price,qty,aggressor';
const trade = '1723161254087896568,spot,BTCUSDT,3735683259,1723161255342,61837.63000000,0.02000000,sell';

describe('a tape of trades', () => {
  test('gives each trade with its venue in the asset and its numbers as they are written', async () => {
    const events = await all(await write('a.csv', `${header}\n${trade}\n`));
    expect(events).toEqual([
      {
        kind: 'trade',
        asset: 'BTCUSDT.spot',
        price: '61837.63000000',
        amount: '0.02000000',
        aggressor: 'sell',
        at: '2024-08-08T23:54:15.342000Z',
      },
    ]);
    expect(Object.isFrozen(events[0])).toBe(true);
  });

  test('needs neither venue nor aggressor, nor an end of line at the end', async () => {
    const events = await all(await write('b.csv', 'symbol,exch_ms,price,qty\nAAPL,0,1.50,2'));
    expect(events).toEqual([
      { kind: 'trade', asset: 'AAPL', price: '1.50', amount: '2', aggressor: null, at: '1970-01-01T00:00:00.000000Z' },
    ]);
  });

  test('reads gzip, a byte order mark, Windows line ends, quotes, empty lines and names in capitals', async () => {
    const text = `\uFEFF"Symbol",EXCH MS,Price,Qty,Aggressor\r\n\r\n"AAPL",1000,"1.5",2,\r\nAAPL,1000,1.5,2,buy\r\n\r\n`;
    const events = await all(await write('c.csv.gz', gzipSync(text)));
    expect(events.map((event) => event.kind === 'trade' && [event.asset, event.price, event.aggressor])).toEqual([
      ['AAPL', '1.5', null],
      ['AAPL', '1.5', 'buy'],
    ]);
    expect(events[0]?.at).toBe('1970-01-01T00:00:01.000000Z');
  });

  test('gives only the asset that is asked for', async () => {
    const other = trade.replace('spot', 'usdm').replace('61837', '61900');
    const path = await write('d.csv', `${header}\n${trade}\n${other}\n`);
    expect(await all(path, { asset: 'BTCUSDT.usdm' })).toMatchObject([{ price: '61900.63000000' }]);
    expect(await all(path, { asset: 'nothing' })).toEqual([]);
  });

  test('reads lines that lie across the pieces in which a file comes', async () => {
    const lines = Array.from({ length: 20_000 }, (_, index) => `S${index % 7},${index},${index}.25,1`);
    const events = await all(await write('e.csv', `symbol,exch_ms,price,qty\n${lines.join('\n')}\n`));
    expect(events).toHaveLength(20_000);
    events.forEach((event, index) => {
      if (event.kind !== 'trade' || event.price !== `${index}.25` || event.asset !== `S${index % 7}`) {
        throw new Error(`event ${index} is ${JSON.stringify(event)}`);
      }
    });
  });

  test('closes the file when the reader stops early', async ({ skip }) => {
    const lines = Array.from({ length: 100_000 }, (_, index) => `AAPL,${index},1,1`);
    const path = await write('f.csv.gz', gzipSync(`symbol,exch_ms,price,qty\n${lines.join('\n')}\n`));
    for await (const event of openTape(path)) {
      expect(event.asset).toBe('AAPL');
      break;
    }
    if (!existsSync('/proc/self/fd')) skip('open files can be listed on Linux only');
    await expect.poll(() => openFiles().filter((target) => target === path)).toEqual([]);
  });
});

describe('a tape of bars', () => {
  test('is named by its file, and a day closes at 21:00 UTC', async () => {
    const path = await write(
      'aapl.csv',
      'Date,Open,High,Low,Close,Adj Close,Volume\n2013-05-13,64.501427,65.414284,64.500000,64.962860,50.961628,79237200\n',
    );
    expect(await all(path)).toEqual([
      {
        kind: 'bar',
        asset: 'AAPL',
        open: '64.501427',
        high: '65.414284',
        low: '64.500000',
        close: '64.962860',
        volume: '79237200',
        at: '2013-05-13T21:00:00.000000Z',
      },
    ]);
  });

  test('takes the name that it is given, and times with a zone as they are', async () => {
    const path = await write('x.csv', 'date,open,high,low,close,volume\n2025-01-02T15:30:00+01:00,1,2,0.5,1.5,10\n');
    expect(await all(path, { asset: 'SPX', format: 'bars' })).toMatchObject([
      { asset: 'SPX', at: '2025-01-02T14:30:00.000000Z' },
    ]);
  });
});

describe('a tape that is not right is refused with file, line, column and what was expected', () => {
  const row = (column: string, value: string) => {
    const fields = trade.split(',');
    fields[header.split(',').indexOf(column)] = value;
    return `${header}\n${trade}\n\n${fields.join(',')}\n${trade}\n`;
  };

  test.each([
    ['price', '61,837'.replace(',', ' '), /decimal/],
    ['price', '6.1e4', /decimal/],
    ['price', 'NaN', /decimal/],
    ['price', '', /decimal/],
    ['price', '061837', /decimal/],
    ['qty', '0x10', /decimal/],
    ['qty', `0.${'1'.repeat(25)}`, /24 digits/],
    ['qty', '1'.repeat(25), /24 digits/],
    ['qty', '-1', /from 0, got "-1"/],
    ['exch_ms', '1723161255342.5', /milliseconds/],
    ['exch_ms', '-1', /milliseconds/],
    ['exch_ms', '9007199254741', /before the year 2255/],
    ['aggressor', 'SELL', /"buy", "sell"/],
    ['symbol', 'BTC USDT', /asset name/],
  ])('%s %j', async (column, value, expected) => {
    const path = await write('bad.csv', row(column, value));
    const error = await refusal(path);
    expect(error.code).toBe('FEED_INVALID');
    expect(error.details).toEqual({ path, line: 4, column });
    expect(error.message).toMatch(expected);
    expect(error.message).toContain(`${path}, line 4, column ${column}`);
  });

  test('the events before it have been given', async () => {
    const path = await write('bad.csv', row('price', 'x'));
    const seen: MarketEvent[] = [];
    const reading = (async () => {
      for await (const event of openTape(path)) seen.push(event);
    })();
    await expect(reading).rejects.toThrow(/line 4/);
    expect(seen).toHaveLength(1);
  });

  test.each([
    ['nothing at all', '', 1, /nothing/],
    ['a header of something else', 'a,b,c\n1,2,3\n', 1, /columns of trades .* or of bars .* got "a, b, c"/],
    ['a column that is not there', 'symbol,exch_ms,price\nA,1,2\n', 1, /column of this name/],
    ['a column that is there twice', 'symbol,exch_ms,price,Price,qty\nA,1,2,3,4\n', 1, /one column .* there are 2/],
    ['bytes that are no text', '\u0000\u001b[31m', 1, /got "\\u0000\\u001b\[31m"/],
    ['a volume below nothing', 'date,open,high,low,close,volume\n2025-01-02,1,1,1,1,-1\n', 2, /from 0/],
    ['too few fields', 'symbol,exch_ms,price,qty\nA,1,2\n', 2, /4 fields/],
    ['too many fields', 'symbol,exch_ms,price,qty\nA,1,2,3,4\n', 2, /4 fields/],
    ['a quote that is not closed', 'symbol,exch_ms,price,qty\n"A,1,2,3\nA,1,2,3\n', 2, /CSV/],
    ['a bar without a date', 'date,open,high,low,close,volume\nyesterday,1,1,1,1,1\n', 2, /date/],
    ['a time without a zone', 'date,open,high,low,close,volume\n2025-01-02 10:00,1,1,1,1,1\n', 2, /zone/],
    ['a day that there is not', 'date,open,high,low,close,volume\n2025-13-02,1,1,1,1,1\n', 2, /date/],
    ['a line without an end', `symbol,exch_ms,price,qty\n${'x'.repeat(300_000)}`, 1, /lines of at most/],
  ])('%s', async (_, content, line, expected) => {
    const path = await write('bad2.csv', content);
    const error = await refusal(path);
    expect(error.code).toBe('FEED_INVALID');
    expect(error.details).toMatchObject({ path, line });
    expect(error.message).toMatch(expected);
  });

  test('bars with a name that is no asset name', async () => {
    const error = await refusal(await write('two words.csv', 'date,open,high,low,close,volume\n'));
    expect(error.details).toMatchObject({ line: 1, column: 'asset' });
  });

  test('the columns of another format than was asked for', async () => {
    const error = await refusal(await write('g.csv', `${header}\n`), { format: 'bars' });
    expect(error.message).toMatch(/column date/);
  });

  test('a file that is not there, and one that is cut', async () => {
    const missing = await refusal(join(directory, 'none.csv'));
    expect(missing.code).toBe('FEED_UNREADABLE');
    expect(missing.cause).toMatchObject({ code: 'ENOENT' });
    const noGzip = await refusal(join(directory, 'none.csv.gz'));
    expect(noGzip.cause).toMatchObject({ code: 'ENOENT' });
    const compressed = gzipSync(`${header}\n${`${trade}\n`.repeat(5000)}`);
    const cut = await refusal(await write('cut.csv.gz', compressed.subarray(0, compressed.length - 20)));
    expect(cut.code).toBe('FEED_UNREADABLE');
    expect(cut.message).toMatch(/cut\.csv\.gz: cannot be read after line \d+: .* cut short/);
  });

  test('a file whose name says of its compression what is not so', async () => {
    const plain = await refusal(await write('plain.csv.gz', `${header}\n${trade}\n`));
    expect(plain.code).toBe('FEED_UNREADABLE');
    expect(plain.message).toMatch(/plain\.csv\.gz: cannot be read: .* no gzip file/);
    const packed = await refusal(await write('packed.csv', gzipSync(`${header}\n${trade}\n`)));
    expect(packed.code).toBe('FEED_INVALID');
    expect(packed.message).toContain('let its name end in ".gz"');
  });
});

describe('real tapes', () => {
  const data = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
  const trades = data('../shared/data/market/binance_trades_20240808.csv.gz');

  test('73,826 trades of six instruments', async ({ skip }) => {
    if (!existsSync(trades)) skip('the recorded trades are not beside this checkout');
    const startMs = performance.now();
    const events = await all(trades);
    const tookMs = performance.now() - startMs;
    expect(events).toHaveLength(73_826);
    expect(new Set(events.map((event) => event.asset))).toEqual(
      new Set(['BTCUSDT.spot', 'ETHUSDT.spot', 'BTCUSDT.usdm', 'ETHUSDT.usdm', 'BTCUSD_PERP.cm', 'ETHUSD_PERP.cm']),
    );
    expect(events.filter((event) => event.kind === 'trade' && event.aggressor === 'buy')).toHaveLength(34_990);
    // Ten times what it takes, so that only another order of magnitude fails.
    expect(tookMs).toBeLessThan(3000);
  });

  test.each([
    ['node_modules/@observablehq/sample-datasets/aapl.csv', 'AAPL', 1260],
    ['node_modules/vega-datasets/data/sp500-2000.csv', 'SP500-2000', 5105],
  ])('%s', async (path, asset, count) => {
    const events = await all(data(path));
    expect(events).toHaveLength(count);
    expect(events.every((event) => event.kind === 'bar' && event.asset === asset)).toBe(true);
  });
});

function openFiles(): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`)];
    } catch {
      // The descriptor of the listing itself is gone by now.
      return [];
    }
  });
}
