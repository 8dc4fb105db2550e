/** What JSON can hold, frozen all the way down: the form in which everything crosses a thread or reaches a file. */
export type JsonValue = null | boolean | number | string | readonly JsonValue[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: JsonValue;
}
