/** Says on standard output what a row of the fault matrix was tried with, as one line that can be searched for. */
export function printRow(row: number, counts: string): void {
  process.stdout.write(`row ${row}: ${counts}\n`);
}
