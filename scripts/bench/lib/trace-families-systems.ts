/** Logs of servers, hosts and tools. */
import { family, type TraceFamily } from "./trace-family.ts";

export const SYSTEMS: readonly TraceFamily[] = [
  family(
    "postgresql",
    ["shelf", "stock", "bin"],
    `{pydate}.{ms} UTC [{pid}] LOG:  checkpoint complete: wrote {int} buffers ({n}.{n}%); sync={n}.{n} s
{pydate}.{ms} UTC [{pid}] app@shop LOG:  duration: {ms}.{n} ms  execute S_{n}: SELECT id FROM shelf WHERE id = {int}
{pydate}.{ms} UTC [{pid}] LOG:  connection received: host={ip} port={eport}`,
    `{pydate}.{ms} UTC [{pid}] app@shop CONTEXT:  while updating tuple ({n},{n3}) in relation "shelf"
{pydate}.{ms} UTC [{pid}] app@shop HINT:  See server log for query details.`,
    `{pydate}.{ms} UTC [{pid}] app@shop ERROR:  exclusion conflict on shelf interval [{int},{int}) held by transaction {int}
@
{pydate}.{ms} UTC [{pid}] app@shop STATEMENT:  UPDATE shelf SET slot = {int} WHERE id = {int}`,
    `{pydate}.{ms} UTC [{pid}] app@shop ERROR:  deadlock detected
{pydate}.{ms} UTC [{pid}] app@shop DETAIL:  Process {pid} waits for ShareLock on transaction {int}; blocked by process {pid}.
@`,
    `{pydate}.{ms} UTC [{pid}] app@shop FATAL:  remaining connection slots are reserved for non-replication superuser connections`,
    `{pydate}.{ms} UTC [{pid}] app@shop ERROR:  duplicate key value violates unique constraint "shelf_pkey"
{pydate}.{ms} UTC [{pid}] app@shop DETAIL:  Key (id)=({int}) already exists.
@`,
    `{pydate}.{ms} UTC [{pid}] app@shop ERROR:  canceling statement due to statement timeout
@`,
  ),
  family(
    "redis",
    ["replica", "cluster", "sentinel"],
    `{pid}:M {redate} * {n} changes in {int} seconds. Saving...
{pid}:M {redate} * Background saving started by pid {pid}
{pid}:C {redate} * DB saved on disk, fork CoW {n} MB`,
    `{pid}:M {redate} # Client {ip}:{eport} scheduled to be closed ASAP
{pid}:M {redate} - Accepted {ip}:{eport}`,
    `{pid}:M {redate} # Partial resynchronization of replica {ip}:{eport} rejected: backlog offset {int} out of window {int}
@`,
    `{pid}:M {redate} # Can't save in background: fork: Cannot allocate memory
@`,
    `{pid}:M {redate} # MISCONF Redis is configured to save RDB snapshots, but it is currently not able to persist on disk (error {n})
@`,
    `{pid}:M {redate} # Client id={int} addr={ip}:{eport} fd={n} overcoming of output buffer limits, qbuf={int}
@`,
    `{pid}:S {redate} # MASTER timeout: no data nor PING received for {n} seconds
@`,
  ),
  family(
    "neo4j",
    ["relationship", "constraint", "label"],
    `{pydate}.{ms}+0000 INFO  [bolt-{n}] Query {int} finished in {ms} ms for {ip}:{eport}
{pydate}.{ms}+0000 INFO  [o.n.k.i.t.l.c.CheckPointerImpl] Checkpoint triggered at txId {int} completed in {ms}ms
{pydate}.{ms}+0000 DEBUG [o.n.c.p.Planner] replan after {int} ms`,
    `	at org.neo4j.kernel.impl.newapi.KernelToken.resolve(KernelToken.java:{n3})
	at com.acme.graph.Merger.link(Merger.java:{n3})
	at org.neo4j.bolt.runtime.BoltWorker.run(BoltWorker.java:{n3})`,
    `{pydate}.{ms}+0000 ERROR [bolt-{n}] Client triggered an unexpected error [Neo.TransientError.Transaction.Outdated]: relationship chain of node {int} moved while visiting, reference {uuid}.
@`,
    `{pydate}.{ms}+0000 ERROR [bolt-{n}] Neo.TransientError.Transaction.DeadlockDetected: ForsetiClient[transactionId={int}, clientId={n}] can't acquire ExclusiveLock on NODE({int})
@`,
    `{pydate}.{ms}+0000 ERROR [bolt-{n}] Neo.ClientError.Schema.ConstraintValidationFailed: Node({int}) already exists with label Fix and property id = '{uuid}'
@`,
    `{pydate}.{ms}+0000 ERROR [bolt-{n}] Neo.TransientError.General.MemoryPoolOutOfMemoryError: The allocation of an extra {n}.{n} MiB would use more than the limit {n3}.0 MiB
@`,
    `{pydate}.{ms}+0000 WARN  [o.n.b.t.HandshakeTimeout] Terminated connection {ip}:{eport} because the handshake took {int} ms
@`,
  ),
  family(
    "nginx",
    ["header", "body", "trailer"],
    `{ip} - - [{clf}] "GET /assets/{hex8}.js HTTP/2.0" 200 {int} "-" "Mozilla/5.0"
{ip} - {user} [{clf}] "POST /api/v{n}/items HTTP/1.1" 201 {int}
{ngdate} [notice] {pid}#{pid}: signal process started`,
    `{ngdate} [warn] {pid}#{pid}: *{int} a client request body is buffered to a temporary file /var/cache/nginx/client_temp/{int}, client: {ip}
{ip} - - [{clf}] "GET /api/v{n}/items/{int} HTTP/1.1" 502 157`,
    `{ngdate} [error] {pid}#{pid}: *{int} upstream sent too big header while reading response header from upstream, client: {ip}, server: shop.example, request: "GET /api/v{n}/items/{int} HTTP/1.1", upstream: "http://{ip}:8000/api"
@`,
    `{ngdate} [error] {pid}#{pid}: *{int} connect() failed (111: Connection refused) while connecting to upstream, client: {ip}, server: shop.example, request: "GET /api/v{n}/items/{int} HTTP/1.1", upstream: "http://{ip}:8000/api"
@`,
    `{ngdate} [error] {pid}#{pid}: *{int} upstream timed out (110: Connection timed out) while reading response header from upstream, client: {ip}, server: shop.example
@`,
    `{ngdate} [crit] {pid}#{pid}: *{int} SSL_do_handshake() failed (SSL: error:{hex8}:SSL routines::bad key share) while SSL handshaking, client: {ip}
@`,
    `{ngdate} [alert] {pid}#{pid}: {int} worker_connections are not enough
@`,
  ),
  family(
    "kubernetes",
    ["configmap", "secret", "projected"],
    `{age}         Normal    Pulled      pod/{pod}   Container image "registry.acme.io/web@sha256:{hex64}" already present on machine
{age}         Normal    Scheduled   pod/{pod}   Successfully assigned shop/{pod} to node-{n}
I{glog} {pid} kubelet.go:{n4}] "SyncLoop (PLEG): event for pod" pod="shop/{pod}"`,
    `{age}         Warning   BackOff     pod/{pod}   Back-off restarting failed container web in pod {pod}_shop({uuid})`,
    `{age}         Warning   FailedMount pod/{pod}   MountVolume.SetUp failed for volume "settings" : configmap "web-settings-{hex8}" not registered after {n}s
@`,
    `{age}         Warning   Failed      pod/{pod}   Failed to pull image "registry.acme.io/web:{int}": rpc error: code = Unknown desc = failed to resolve reference: 401 Unauthorized
@`,
    `{age}         Warning   Unhealthy   pod/{pod}   Readiness probe failed: Get "http://{ip}:8080/healthz": context deadline exceeded
@`,
    `{age}         Warning   FailedScheduling pod/{pod}   0/{n} nodes are available: {n} Insufficient memory, {n} node(s) had untolerated taint
@`,
    `E{glog} {pid} pod_workers.go:{n4}] "Error syncing pod, skipping" err="failed to start container: OOMKilled exit code 137" podUID="{uuid}"
@`,
  ),
  family(
    "kernel",
    ["memcg", "global", "cpuset"],
    `{sysdate} node-{n} kernel: [{int}.{n3}] eth0: renamed from veth{hex8}
{sysdate} node-{n} kernel: [{int}.{n3}] audit: type=1400 audit({int}.{n3}:{n}): apparmor="ALLOWED" pid={pid}
{sysdate} node-{n} systemd[1]: Started Session {n} of user {user}.`,
    `{sysdate} node-{n} kernel: [{int}.{n3}] Call Trace:
{sysdate} node-{n} kernel: [{int}.{n3}]  dump_stack_lvl+0x{n}/0x{n3}
{sysdate} node-{n} kernel: [{int}.{n3}]  do_syscall_64+0x{hex3}/0x{n3}`,
    `{sysdate} node-{n} kernel: [{int}.{n3}] java invoked oom-killer: gfp_mask=0x{hex3}(GFP_KERNEL), order=0, oom_score_adj={n3}
{sysdate} node-{n} kernel: [{int}.{n3}] memcg usage {int}kB exceeded its guarantee, failcnt {int}
@`,
    `{sysdate} node-{n} kernel: [{int}.{n3}] Out of memory: Killed process {pid} (python3) total-vm:{int}kB, anon-rss:{int}kB
@`,
    `{sysdate} node-{n} kernel: [{int}.{n3}] watchdog: BUG: soft lockup - CPU#{n} stuck for {n}s! [kworker/{n}:{n}:{pid}]
@`,
    `{sysdate} node-{n} kernel: [{int}.{n3}] EXT4-fs error (device sda{n}): ext4_find_entry:{n4}: inode #{int}: comm ls: reading directory lblock 0
@`,
    `{sysdate} node-{n} kernel: [{int}.{n3}] nf_conntrack: table full, dropping packet from {ip}
@`,
  ),
  family(
    "systemd",
    ["watchdog", "socket", "mount"],
    `{sysdate} host-{n} systemd[1]: Started Daily apt download activities.
{sysdate} host-{n} CRON[{pid}]: (root) CMD (run-parts /etc/cron.hourly)
{sysdate} host-{n} sshd[{pid}]: Accepted publickey for {user} from {ip} port {eport} ssh2`,
    `{sysdate} host-{n} systemd[1]: collector.service: Scheduled restart job, restart counter is at {n}.
{sysdate} host-{n} systemd[1]: Stopped Telemetry collector.`,
    `{sysdate} host-{n} systemd[1]: collector.service: watchdog keepalive missed by {int}us (limit {n}s), sending SIGABRT to {pid}
@`,
    `{sysdate} host-{n} systemd[1]: collector.service: Main process exited, code=exited, status=203/EXEC
@`,
    `{sysdate} host-{n} systemd[1]: collector.service: Start request repeated too quickly.
@`,
    `{sysdate} host-{n} systemd[1]: collector.service: Failed with result 'exit-code' after {n}min {n}.{n3}s CPU time.
@`,
    `{sysdate} host-{n} systemd[{pid}]: collector.service: Failed at step CHDIR spawning /opt/collector/{int}/run: No such file or directory
@`,
  ),
  family(
    "docker-build",
    ["layer", "manifest", "config"],
    `#{n} [build {n}/{n}] RUN npm ci
#{n} sha256:{hex64} {n}.{n}MB / {n}.{n}MB {n}.{n}s done
#{n} transferring context: {n}.{n}kB done`,
    `------
 > [build {n}/{n}] COPY --from=deps /srv/app/{hex8} ./:
------
Dockerfile:{n}`,
    `#{n} ERROR: failed to export: layer sha256:{hex64} quarantined by scanner policy {int}
@
ERROR: failed to solve: layer sha256:{hex64} quarantined by scanner policy {int}`,
    `@
ERROR: failed to solve: process "/bin/sh -c npm ci" did not complete successfully: exit code: 137`,
    `#{n} ERROR: failed to calculate checksum of ref {hex24}: "/srv/app/{hex8}": not found
@`,
    `@
ERROR: failed to solve: registry.acme.io/base:{int}: failed to authorize: failed to fetch oauth token: 401 Unauthorized`,
    `#{n} {n}.{n3} E: Failed to fetch http://deb.debian.org/debian/pool/main/c/curl_{n}.{n}_amd64.deb  Hash Sum mismatch
@`,
  ),
  family(
    "gcc",
    ["template", "operator", "concept"],
    `[{n}%] Building CXX object src/CMakeFiles/core.dir/mesh{n}.cpp.o
[{n3}/{n4}] Linking CXX static library lib/libcore{n}.a
-- Configuring done ({n}.{n}s)`,
    `In file included from /home/{user}/build-{hex8}/src/mesh.cpp:{n}:
gmake[{n}]: *** [src/CMakeFiles/core.dir/build.make:{n3}: src/CMakeFiles/core.dir/mesh.cpp.o] Error 1
gmake: *** [Makefile:{n3}: all] Error 2`,
    `/home/{user}/build-{hex8}/src/mesh.hpp:{n3}:{n}: error: template instantiation depth exceeds maximum of {n3} while deducing stride of Facet
@`,
    `/home/{user}/build-{hex8}/src/mesh.cpp:{n3}:{n}: error: 'struct Facet' has no member named 'normal{n}'
@`,
    `/usr/bin/ld: /home/{user}/build-{hex8}/src/mesh.o: in function Mesh::weld():
mesh.cpp:(.text+0x{hex3}): undefined reference to 'Facet::area() const'
collect2: error: ld returned 1 exit status`,
    `/home/{user}/build-{hex8}/src/mesh.cpp:{n3}:{n}: fatal error: boost/geometry.hpp: No such file or directory
@`,
    `c++: fatal error: Killed signal terminated program cc1plus
@`,
  ),
  family(
    "npm",
    ["peer", "engine", "platform"],
    `npm http fetch GET 200 https://registry.npmjs.org/left-pad {ms}ms (cache miss)
npm timing reifyNode:node_modules/esbuild Completed in {int}ms
added {int} packages, and audited {int} packages in {n}s`,
    `npm ERR! A complete log of this run can be found in: /root/.npm/_logs/{day}T{n}_{n}_{n}_{ms}Z-debug-0.log
npm ERR! node v20.{n}.{n}`,
    `npm ERR! code ERESOLVE
npm ERR! Conflicting peer dependency: @acme/ui-kit@{n}.{n}.{n} wanted by @acme/charts@{n}.{n}.{n}
@`,
    `npm ERR! code E404
npm ERR! 404 Not Found - GET https://registry.npmjs.org/@acme%2fcharts - Not found {uuid}
@`,
    `npm ERR! code EINTEGRITY
npm ERR! sha512-{b64} integrity checksum failed when using sha512
@`,
    `npm ERR! code EACCES
npm ERR! syscall mkdir path /usr/local/lib/node_modules/.acme-{hex8}
@`,
    `npm ERR! code ELIFECYCLE errno {n}
npm ERR! @acme/app@{n}.{n}.{n} build: vite build, exit status {n}
@`,
  ),
  family(
    "terraform",
    ["bucket", "queue", "topic"],
    `aws_instance.web[{n}]: Refreshing state... [id=i-{hex16}]
aws_security_group.web: Modifying... [id=sg-{hex16}]
aws_instance.web[{n}]: Still creating... [{n}0s elapsed]`,
    `│   with module.archive.aws_s3_object.index[{n}],
│   on .terraform/modules/archive/main.tf line {n}, in resource "aws_s3_object" "index":
│ RequestID: {hex16}, HostID: {b64}`,
    `╷
│ Error: replication of bucket acme-archive-{int} is paused by account {int}
@
╵`,
    `╷
│ Error: Error acquiring the state lock: ConditionalCheckFailedException. Lock ID {uuid}, Who: {user}@ci-{n}
@`,
    `╷
│ Error: creating EC2 Instance: VcpuLimitExceeded: You have requested more vCPU capacity than your current limit of {n} allows
@`,
    `╷
│ Error: reading S3 object: operation error S3: HeadObject, https response error StatusCode: 403, api error Forbidden
@`,
    `╷
│ Error: Provider produced inconsistent final plan for module.archive[{n}]
@`,
  ),
  family(
    "kafka",
    ["epoch", "offset", "partition"],
    `[{pydate},{ms}] INFO [Partition orders-{n} broker={n}] ISR updated to {n},{n} (kafka.cluster.Partition)
[{pydate},{ms}] INFO [GroupCoordinator {n}]: Stabilized group billing generation {int} (kafka.coordinator.group.GroupCoordinator)
[{pydate},{ms}] DEBUG [ReplicaFetcher replicaId={n}] fetched {int} bytes (kafka.server.ReplicaFetcherThread)`,
    `	at org.apache.kafka.clients.producer.internals.Sender.run(Sender.java:{n3})
	at com.acme.stream.Relay.forward(Relay.java:{n3})
	at java.base/java.lang.Thread.run(Thread.java:{n3})`,
    `[{pydate},{ms}] ERROR [Producer clientId=relay-{n}, transactionalId={uuid}] Aborting because epoch {n} was fenced by a newer relay at {ip}:{eport} (org.apache.kafka.clients.producer.internals.Sender)
org.apache.kafka.common.errors.ProducerFencedException: epoch {n} was fenced
@`,
    `[{pydate},{ms}] ERROR [Producer clientId=relay-{n}] org.apache.kafka.common.errors.TimeoutException: Expiring {n} record(s) for orders-{n}:{int} ms has passed since batch creation
@`,
    `[{pydate},{ms}] ERROR [Consumer clientId=relay-{n}, groupId=billing] Offset commit failed: org.apache.kafka.clients.consumer.CommitFailedException: the group has already rebalanced, generation {int}
@`,
    `[{pydate},{ms}] ERROR Shutdown broker {n} because all log dirs in /var/lib/kafka-{n} have failed (kafka.log.LogManager)
@`,
    `[{pydate},{ms}] WARN [ReplicaFetcher replicaId={n}] Connection to node {n} ({ip}:9092) could not be established. Broker may not be available.
org.apache.kafka.common.errors.NotLeaderOrFollowerException
@`,
  ),
];
