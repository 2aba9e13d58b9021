// How a key is told from others without its secret.
import type { Key } from "@/api/types";

/** `acl_…4f2c`. */
export function hintOf(key: Pick<Key, "hint">): string {
  return key.hint.startsWith("acl_") ? key.hint : `acl_…${key.hint}`;
}
