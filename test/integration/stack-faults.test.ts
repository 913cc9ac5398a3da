import { ROUNDS, testFaults } from "../fault/stack-faults.ts";

// the campaign runs all of them
testFaults([ROUNDS[0]!, ROUNDS[2]!, ROUNDS[3]!]);
