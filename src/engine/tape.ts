import { createReadStream } from 'node:fs';
import { basename } from 'node:path';
import { pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { CsvError, parse } from 'csv-parse/sync';
import { FeedError } from '../model/errors.ts';
import type { MarketEvent } from '../model/market.ts';
import { FieldError, type RowReader, rowReader, type TapeFormat } from './tape-rows.ts';

export interface TapeOptions {
  /** Of bars: what they are bars of; the file's name in capitals where absent. Of trades: only those of this asset. */
  readonly asset?: string;
  /** What the columns must be; told by the header where absent. */
  readonly format?: TapeFormat;
}

/**
 * Market events from a CSV file with a header, or the same compressed with gzip (".gz"), in the file's order. Prices and quantities
 * are kept as they are written, trailing zeros too. The file is read as the events are consumed, and closed when the consumer stops.
 *
 * trades: `symbol`, `exch_ms` (milliseconds since 1970), `price`, `qty`, and where there are `venue` (the asset is then
 * "symbol.venue") and `aggressor` (buy or sell). bars: `date`, `open`, `high`, `low`, `close`, `volume`; a date without a time is a day
 * of trading that closes at 21:00 UTC. Other columns are left alone; capitals, spaces and "_" in names do not matter.
 * @throws FeedError FEED_INVALID with path, line and column, at the event that is wrong; FEED_UNREADABLE where there is no reading it
 */
export async function* openTape(path: string, options: TapeOptions = {}): AsyncGenerator<MarketEvent, void, void> {
  let line = 0;
  let read: RowReader | null = null;
  try {
    for await (const lines of openLines(path)) {
      for (const text of lines) {
        line += 1;
        if (text === '' || text === '\r') continue;
        const row = fields(text);
        if (read === null) {
          read = rowReader(row, { ...options, name: nameOf(path) });
          continue;
        }
        const event = read(row);
        if (event !== null) yield event;
      }
    }
    if (read === null) throw new FieldError(null, 'a header and rows, and there is nothing');
  } catch (error) {
    throw feedError(path, line, error);
  }
}

/** Lines in batches, as they come from the file: a step of the iteration for each would cost more than reading it. */
async function* openLines(path: string): AsyncGenerator<readonly string[], void, void> {
  const file = createReadStream(path);
  // What fails in the file destroys the last stream with its error, which then comes out of the iteration; an iteration that ends
  // early destroys the file.
  const bytes = path.endsWith('.gz') ? pipeline(file, createGunzip({ chunkSize: 64 * 1024 }), () => {}) : file;
  bytes.setEncoding('utf8');
  let rest = '';
  let first = true;
  for await (const chunk of bytes as AsyncIterable<string>) {
    const lines = (rest + (first ? chunk.replace(/^\uFEFF/, '') : chunk)).split('\n');
    if (first && chunk.startsWith(gzipMagic)) {
      throw new FieldError(null, 'CSV, and it is compressed with gzip: let its name end in ".gz"');
    }
    first = false;
    rest = lines.pop() ?? '';
    yield lines;
    if (rest.length > lineLengthMax) throw new FieldError(null, `lines of at most ${lineLengthMax} characters`);
  }
  yield [rest];
}

/** The two bytes that gzip begins with, as text makes them. */
const gzipMagic = '\x1f\ufffd';

const lineLengthMax = 64 * 1024;

/** A row is a line. Almost none has quotes, and without them it is a sixth of the work. */
function fields(line: string): readonly string[] {
  if (line.includes('"')) return parse(line)[0] ?? [];
  return (line.endsWith('\r') ? line.slice(0, -1) : line).split(',');
}

function nameOf(path: string): string {
  return basename(path)
    .replace(/\.gz$/, '')
    .replace(/\.[^.]*$/, '')
    .toUpperCase();
}

function feedError(path: string, line: number, error: unknown): unknown {
  if (error instanceof FieldError) {
    const column = error.column === null ? '' : `, column ${error.column}`;
    const message = `${path}, line ${Math.max(line, 1)}${column}: expected ${error.expected}`;
    return new FeedError('FEED_INVALID', message, {
      details: { path, line: Math.max(line, 1), column: error.column },
    });
  }
  if (error instanceof CsvError) {
    return new FeedError(
      'FEED_INVALID',
      `${path}, line ${line}: expected CSV, one row in each line: ${error.message}`,
      {
        cause: error,
        details: { path, line, column: null },
      },
    );
  }
  if (!(error instanceof Error) || !('code' in error)) return error;
  const where = line === 0 ? 'cannot be read' : `cannot be read after line ${line}`;
  return new FeedError('FEED_UNREADABLE', `${path}: ${where}: ${error.message}. ${adviceFor(error.code)}`, {
    cause: error,
    details: { path, line },
  });
}

function adviceFor(code: unknown): string {
  if (code === 'Z_BUF_ERROR') return 'The file is cut short: get it again';
  if (code === 'Z_DATA_ERROR')
    return 'It is no gzip file, or a damaged one; the name of one that is not compressed ends otherwise';
  return 'Give a CSV file, or one compressed with gzip whose name ends in ".gz"';
}
