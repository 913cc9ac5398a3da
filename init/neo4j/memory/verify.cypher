// opsctl set "memory": what it holds.

RETURN COUNT { MATCH (n) } AS nodes,
       COUNT { MATCH (f:Fix) } AS fixes,
       COUNT { MATCH (a:Agent) } AS agents,
       COUNT { MATCH (i:Issue) } AS issues,
       COUNT { MATCH (m:Memory) WHERE m.deleted_at IS NULL } AS memories;
