import { OpsError } from "../errors.ts";

/** Something of an archive is not as it must be: exit code 23. */
export class Damaged extends OpsError {
  /** In the set; the archive's own name for what concerns all of it. */
  readonly path: string;
  /** The message without the path. */
  readonly what: string;

  constructor(path: string, what: string) {
    super({
      code: "integrity",
      message: `${path}: ${what}`,
      hint: "opsctl backup list shows the other archives; opsctl backup verify NAME lists all that is wrong with one",
    });
    this.path = path;
    this.what = what;
  }
}
