import { ROUNDS, testFaults } from "./stack-faults.ts";

testFaults(ROUNDS);
