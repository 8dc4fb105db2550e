import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Keys that an end-to-end test gives its broker so that they can be searched for afterwards. The secret has characters that JSON and
 * URLs write differently, so that a search for its plain text alone would miss them.
 */
export const canaryKeys: { readonly keyId: string; readonly secretKey: string } = {
  keyId: 'PKCANARY5D2W8Q7Z',
  secretKey: 'canary"s3cr3t/7fQ9+x4Tz\\K8mVb2',
};

/** The keys as the broker modules read them from the environment. */
export const canaryEnv: Readonly<Record<string, string>> = {
  APCA_API_KEY_ID: canaryKeys.keyId,
  APCA_API_SECRET_KEY: canaryKeys.secretKey,
};

export interface CanarySearch {
  readonly files: number;
  readonly bytes: number;
  /** Where it was found, and in which form. */
  readonly found: readonly string[];
}

/**
 * Looks for the canary in whatever a run wrote: every byte of every file below the directories, databases and their journals
 * included, and the texts, such as standard output and messages of errors. It is looked for as it is, as JSON, in a URL, in base64
 * and hexadecimal, as UTF-16, and in pieces: half a key is a secret too.
 */
export function searchForCanary(
  directories: readonly string[],
  texts: Readonly<Record<string, string>> = {},
): CanarySearch {
  const search = { files: 0, bytes: 0, found: [] as string[] };
  const look = (name: string, bytes: Buffer) => {
    search.bytes += bytes.byteLength;
    for (const [form, needle] of needles) if (bytes.includes(needle)) search.found.push(`${name}: ${form}`);
  };
  for (const directory of directories) {
    for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const path = join(entry.parentPath, entry.name);
      search.files += 1;
      look(path, readFileSync(path));
      look(`the name of ${path}`, Buffer.from(path));
    }
  }
  for (const [name, text] of Object.entries(texts)) look(name, Buffer.from(text));
  return search;
}

/** Any so many characters of a secret are found. */
const pieceLength = 10;

const needles: readonly (readonly [form: string, needle: Buffer])[] = Object.values(canaryKeys).flatMap((key) => [
  ...Array.from(
    { length: key.length - pieceLength + 1 },
    (_, from) => [`characters ${from} and on`, Buffer.from(key.slice(from, from + pieceLength))] as const,
  ),
  ['as JSON', Buffer.from(JSON.stringify(key).slice(1, -1))] as const,
  ['as JSON in JSON', Buffer.from(JSON.stringify(JSON.stringify(key)).slice(3, -3))] as const,
  ['in a URL', Buffer.from(encodeURIComponent(key))] as const,
  ['as hexadecimal', Buffer.from(Buffer.from(key).toString('hex'))] as const,
  ['as UTF-16', Buffer.from(key, 'utf16le')] as const,
  ...base64Forms(key).map((text, shift) => [`as base64 at ${shift}`, Buffer.from(text)] as const),
]);

/** Base64 of the key as it stands inside a longer text: three forms, by where in a group of three bytes it begins. */
function base64Forms(key: string): string[] {
  return [0, 1, 2].map((shift) => {
    const text = Buffer.from('x'.repeat(shift) + key).toString('base64');
    // What shares its characters with neighbours is left out.
    return text.slice(shift === 0 ? 0 : 4, Math.floor((shift + key.length) / 3) * 4);
  });
}
