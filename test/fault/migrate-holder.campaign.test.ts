import { expect, it } from "vitest";
import { Sandbox } from "../support/cli.ts";
import { commandLine } from "./migrate-kill.ts";
import { neo4jSubject } from "./migrate-neo4j.ts";
import { whileStopped } from "./migrate-runners.ts";
import { checkWhole } from "./migrate-truth.ts";

/** `npm test` stops holders on the other engines, and on Neo4j holds a transaction in the place of a runner (neo4j-migrate-faults.test.ts). */
it("neo4j: a holder that is stopped is named; when its lease has ended another goes on, and it finds out", async () => {
  const box = new Sandbox();
  const subject = await neo4jSubject(box);
  try {
    const args = commandLine(subject, "up");
    const first = await whileStopped(box, subject, async (pid) => {
      const impatient = await box.run([...args, "--lock-wait", "1s"], { env: subject.env });
      expect(impatient.stderr).toMatch(new RegExp(`\\b${pid}\\b`));
      expect(impatient).toMatchObject({ code: 22, stdout: "" });
      const patient = await box.run([...args, "--lock-wait", "60s"], { env: subject.env });
      expect(patient.code, patient.stderr).toBe(0);
    });
    expect(first.code, first.stderr).toBe(22);
    await checkWhole(box, subject);
  } finally {
    await subject.drop();
    box.remove();
  }
});
