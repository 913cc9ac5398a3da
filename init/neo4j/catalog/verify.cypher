// opsctl set "catalog": what it holds.

RETURN COUNT { MATCH (p:PowerSource) } AS power_sources,
       COUNT { MATCH (f:Feeder) } AS feeders,
       COUNT { MATCH (c:Cooler) } AS coolers,
       COUNT { MATCH (i:Interconnector) } AS interconnectors,
       COUNT { MATCH (t:Torch) } AS torches,
       COUNT { MATCH (a:Accessory) } AS accessories,
       COUNT { MATCH ()-[r:COMPATIBLE_WITH]->() } AS compatibilities;
