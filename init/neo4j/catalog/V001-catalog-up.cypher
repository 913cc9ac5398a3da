// opsctl set "catalog", schema v1.0.0, for Neo4j 5.13 and newer (Community is enough).
// Products, each with its GIN (Global Item Number), and which component fits which power source:
//
//   (:PowerSource {gin, name, process, current_output, material, ...})
//   (:Feeder {gin, name, cooling_type, ...})            (:Cooler {gin, name, cooling_capacity, ...})
//   (:Interconnector {gin, name, cable_length, ...})    (:Torch {gin, name, amperage, cooling, ...})
//   (:Accessory {gin, name, category, ...})
//   (component)-[:COMPATIBLE_WITH]->(:PowerSource)
//
// The set makes no nodes: they come from the catalogue's own import.

// A GIN names one product of its kind. Each constraint brings the index that finds a product by its GIN, and
// makes MERGE on it safe with several writers.
CREATE CONSTRAINT power_source_gin IF NOT EXISTS FOR (p:PowerSource) REQUIRE p.gin IS UNIQUE;
CREATE CONSTRAINT feeder_gin IF NOT EXISTS FOR (f:Feeder) REQUIRE f.gin IS UNIQUE;
CREATE CONSTRAINT cooler_gin IF NOT EXISTS FOR (c:Cooler) REQUIRE c.gin IS UNIQUE;
CREATE CONSTRAINT interconnector_gin IF NOT EXISTS FOR (i:Interconnector) REQUIRE i.gin IS UNIQUE;
CREATE CONSTRAINT torch_gin IF NOT EXISTS FOR (t:Torch) REQUIRE t.gin IS UNIQUE;
CREATE CONSTRAINT accessory_gin IF NOT EXISTS FOR (a:Accessory) REQUIRE a.gin IS UNIQUE;

// One search over the names of all products, with their score:
//   CALL db.index.fulltext.queryNodes('product_names', 'aristo') YIELD node, score
CREATE FULLTEXT INDEX product_names IF NOT EXISTS
FOR (n:PowerSource|Feeder|Cooler|Interconnector|Torch|Accessory) ON EACH [n.name];

// What products are selected by. Range indexes: = and IN, and < > on numbers. They leave out nodes without the
// property.
CREATE INDEX power_source_process IF NOT EXISTS FOR (p:PowerSource) ON (p.process);
CREATE INDEX power_source_current_output IF NOT EXISTS FOR (p:PowerSource) ON (p.current_output);
CREATE INDEX power_source_material IF NOT EXISTS FOR (p:PowerSource) ON (p.material);
CREATE INDEX feeder_cooling_type IF NOT EXISTS FOR (f:Feeder) ON (f.cooling_type);
CREATE INDEX cooler_cooling_capacity IF NOT EXISTS FOR (c:Cooler) ON (c.cooling_capacity);
CREATE INDEX interconnector_cable_length IF NOT EXISTS FOR (i:Interconnector) ON (i.cable_length);
CREATE INDEX torch_amperage IF NOT EXISTS FOR (t:Torch) ON (t.amperage);
CREATE INDEX torch_cooling IF NOT EXISTS FOR (t:Torch) ON (t.cooling);
CREATE INDEX accessory_category IF NOT EXISTS FOR (a:Accessory) ON (a.category);

// What is compatible with a known power source needs no index beyond its GIN: the node holds its relationships,
// by type. Where a query knows no product, it needs one. All pairs: the lookup index on relationship types,
// which every Neo4j 5 database has from the start; it stays the database's own. Some pairs: an index over a
// property of the relationship; `since` is when the pair was released, so that an application can ask for what
// became compatible after a date. Relationships without `since` cost nothing.
CREATE INDEX compatible_with_since IF NOT EXISTS FOR ()-[r:COMPATIBLE_WITH]-() ON (r.since);
