/** The entry of a record whose keys come from outside: "constructor" is an asset's name like any other, and no function. */
export function ownEntry<T>(record: Readonly<Record<string, T>> | undefined, key: string): T | undefined {
  return record !== undefined && Object.hasOwn(record, key) ? record[key] : undefined;
}
