import { afterAll, beforeAll, beforeEach, describe } from "vitest";
import { prepare } from "../../src/memory/analyze.ts";
import { digestOf, recordId } from "../../src/memory/ids.ts";
import type { MemoryStore, PreparedWrite } from "../../src/memory/port.ts";
import { listsContract } from "./memory-store-lists.ts";
import { searchContract } from "./memory-store-search.ts";
import { viewsContract } from "./memory-store-views.ts";
import { writesContract } from "./memory-store-writes.ts";

export interface StoreUnderTest {
  store: MemoryStore;
  /** Empties the store; its schema stays, and the version of its index is the program's. */
  clear(): Promise<void>;
  /** Makes the index say that its oldest entry is of this version. */
  setIndexVersion(version: number): Promise<void>;
  close(): Promise<void>;
}

export interface ContractOptions {
  /** False for a store that takes the order of the calls for `order` (one host writes it). */
  ordersWrites: boolean;
}

/** The store of the running suite: it is there from the first test on. */
export type UnderTest = Pick<StoreUnderTest, "store" | "setIndexVersion">;

/** More than any test writes. */
export const PAGE = { limit: 100, offset: 0 };

type RememberWrite = Extract<PreparedWrite, { kind: "remember" }>;

interface RememberFields {
  key: string;
  content: string;
  details?: string | null;
  id?: string;
  eventId: string;
  at?: number;
  order?: number;
  success?: boolean | null;
  agent?: string | null;
  server?: string | null;
  tags?: string[];
  metadata?: Record<string, unknown>;
  /** Shape tokens, in place of those of the text. */
  shape?: string;
}

/** A remember write as the domain makes it. */
export function remember(fields: RememberFields): RememberWrite {
  const {
    key,
    content,
    details = null,
    eventId,
    at = 1000,
    success = null,
    agent = null,
    server = null,
  } = fields;
  const id = fields.id ?? recordId("default", key, content, details);
  const record = { id, namespace: "default", key, content, details };
  const event = {
    id: eventId,
    agent,
    server,
    success,
    tags: fields.tags ?? [],
    metadata: fields.metadata ?? {},
    at,
  };
  const digest = digestOf([record, event]);
  const prepared = fields.shape === undefined ? prepare(record) : { ...prepare(record), shape: fields.shape };
  return { kind: "remember", order: fields.order ?? at, record, event, digest, prepared };
}

/** What every store of the memory must do, one suite run against each of them. */
export function memoryStoreContract(
  name: string,
  open: () => Promise<StoreUnderTest>,
  options: ContractOptions,
): void {
  describe(`${name}: memory store`, () => {
    let subject: StoreUnderTest;
    const under: UnderTest = {
      get store() {
        return subject.store;
      },
      setIndexVersion: (version) => subject.setIndexVersion(version),
    };

    beforeAll(async () => {
      subject = await open();
    });
    beforeEach(() => subject.clear());
    afterAll(() => subject?.close());

    writesContract(under, options);
    listsContract(under);
    viewsContract(under);
    searchContract(under);
  });
}
