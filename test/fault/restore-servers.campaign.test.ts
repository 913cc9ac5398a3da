import { afterAll, beforeAll, describe, it } from "vitest";
import { makeServers, SERVER_CASES, type Servers } from "./restore-servers.ts";

describe("a restore whose servers fail", () => {
  let servers: Servers;

  beforeAll(async () => {
    servers = await makeServers();
  });
  afterAll(() => servers?.scene.drop());

  it.each(Object.entries(SERVER_CASES))("%s", (_, check) => check(servers));
});
