// opsctl set "catalog", schema v1.0.0: takes back the constraints and indexes. Products and their relationships stay: the set
// did not make them.

DROP INDEX compatible_with_since IF EXISTS;

DROP INDEX accessory_category IF EXISTS;
DROP INDEX torch_cooling IF EXISTS;
DROP INDEX torch_amperage IF EXISTS;
DROP INDEX interconnector_cable_length IF EXISTS;
DROP INDEX cooler_cooling_capacity IF EXISTS;
DROP INDEX feeder_cooling_type IF EXISTS;
DROP INDEX power_source_material IF EXISTS;
DROP INDEX power_source_current_output IF EXISTS;
DROP INDEX power_source_process IF EXISTS;

DROP INDEX product_names IF EXISTS;

DROP CONSTRAINT accessory_gin IF EXISTS;
DROP CONSTRAINT torch_gin IF EXISTS;
DROP CONSTRAINT interconnector_gin IF EXISTS;
DROP CONSTRAINT cooler_gin IF EXISTS;
DROP CONSTRAINT feeder_gin IF EXISTS;
DROP CONSTRAINT power_source_gin IF EXISTS;
