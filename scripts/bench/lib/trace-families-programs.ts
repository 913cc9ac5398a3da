/** Stack traces of programs in eight languages. */
import { family, type TraceFamily } from "./trace-family.ts";

export const PROGRAMS: readonly TraceFamily[] = [
  family(
    "java-spring",
    ["inventory", "catalogue", "invoice"],
    `{iso} INFO {pid} --- [http-nio-8080-exec-{n}] c.a.shop.api.AccessLog : GET /api/orders/{int} 200 {ms}ms
{iso} DEBUG {pid} --- [scheduling-{n}] c.a.shop.jobs.Sweeper : swept {int} sessions of tenant {uuid}
{iso} INFO {pid} --- [http-nio-8080-exec-{n}] c.a.shop.cart.CartService : cart {uuid} saved for {email}`,
    `	at com.acme.shop.order.OrderService.place(OrderService.java:{n3})
	at com.acme.shop.order.OrderController.create(OrderController.java:{n3})
	at org.springframework.web.servlet.FrameworkServlet.service(FrameworkServlet.java:{n3})
	at org.apache.catalina.core.StandardWrapperValve.invoke(StandardWrapperValve.java:{n3})
	at java.base/java.lang.Thread.run(Thread.java:{n3})`,
    `{iso} ERROR {pid} --- [http-nio-8080-exec-{n}] o.a.c.c.C.[.[.[/].[dispatcherServlet] : Servlet.service() for servlet [dispatcherServlet] threw exception
java.lang.IllegalStateException: Reservation {uuid} of inventory item {int} expired before commit
@`,
    `{iso} ERROR {pid} --- [http-nio-8080-exec-{n}] o.a.c.c.C.[.[.[/].[dispatcherServlet] : Servlet.service() for servlet [dispatcherServlet] threw exception
java.lang.IllegalStateException: Payment {uuid} was captured twice for order {int}
@`,
    `{iso} ERROR {pid} --- [http-nio-8080-exec-{n}] c.a.shop.order.OrderService : order {int} failed
org.springframework.dao.DataIntegrityViolationException: could not execute statement; constraint [orders_{int}_fk]
@
Caused by: org.postgresql.util.PSQLException: ERROR: insert or update on table "orders" violates foreign key constraint`,
    `{iso} ERROR {pid} --- [http-nio-8080-exec-{n}] c.a.shop.order.OrderService : order {int} failed
java.sql.SQLTransientConnectionException: HikariPool-{n} - Connection is not available, request timed out after {int}ms.
@`,
    `java.lang.NullPointerException: Cannot invoke "Customer.address()" because the return value of "Order.customer()" is null
@`,
  ),
  family(
    "python-django",
    ["voucher", "coupon", "basket"],
    `{pydate},{ms} INFO myapp.middleware request {uuid} from {ip} took {ms} ms
{pydate},{ms} DEBUG django.db.backends ({ms3}) SELECT id FROM shop_order WHERE id = {int}
[{clf}] "GET /orders/{int}/ HTTP/1.1" 200 {int}`,
    `Traceback (most recent call last):
  File "/srv/app-{hex8}/lib/python3.11/site-packages/django/core/handlers/exception.py", line {n3}, in inner
    response = get_response(request)
  File "/srv/app-{hex8}/shop/views.py", line {n3}, in checkout
    order = place_order(request.user, cart)
  File "/srv/app-{hex8}/lib/python3.11/site-packages/django/db/backends/utils.py", line {n3}, in _execute
    return self.cursor.execute(sql, params)`,
    `{pydate},{ms} ERROR django.request Internal Server Error: /checkout/{int}/
@
shop.errors.RedeemConflict: voucher {hex8} already redeemed by session {uuid}`,
    `{pydate},{ms} ERROR django.request Internal Server Error: /checkout/{int}/
@
django.db.utils.OperationalError: could not connect to server: Connection refused (host "{ip}", port 5432)`,
    `{pydate},{ms} ERROR django.request Internal Server Error: /orders/{int}/
@
django.db.utils.ProgrammingError: column shop_order.tax_{int} does not exist`,
    `{pydate},{ms} ERROR django.request Internal Server Error: /checkout/{int}/
@
psycopg2.errors.SerializationFailure: could not serialize access due to concurrent update`,
    `{pydate},{ms} ERROR django.request Internal Server Error: /orders/{int}/
@
KeyError: 'HTTP_X_TENANT_{int}'`,
  ),
  family(
    "node",
    ["upload", "export", "thumbnail"],
    `{iso} [info] GET /files/{hex24} 200 {ms}ms
{iso} [debug] worker {n} picked job {uuid}
{iso} [info] socket {hex16} of {ip}:{eport} closed`,
    `    at UploadStore.flush (/home/{user}/app/src/upload-store.js:{n3}:{n})
    at async Router.handle (/home/{user}/app/node_modules/express/lib/router/index.js:{n3}:{n})
    at process.processTicksAndRejections (node:internal/process/task_queues:{n}:{n})`,
    `{iso} [error] unhandled rejection in worker {n}
ChunkOrderError: chunk {n3} of upload {uuid} arrived after the manifest was sealed
@`,
    `{iso} [error] unhandled rejection in worker {n}
Error: connect ECONNREFUSED {ip}:6379
    at TCPConnectWrap.afterConnect [as oncomplete] (node:net:{n3}:{n})
@`,
    `{iso} [error] unhandled rejection in worker {n}
TypeError: Cannot read properties of undefined (reading 'etag')
@`,
    `{iso} [error] worker {n} exited
Error: EMFILE: too many open files, open '/home/{user}/app/tmp/{hex16}.part'
@`,
    `<--- Last few GCs --->
[{pid}:0x{hex8}] {int} ms: Mark-sweep {int}.{n} ({int}.{n}) -> {int}.{n} MB
FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory`,
  ),
  family(
    "go",
    ["lease", "quota", "ticket"],
    `{godate} scheduler: node {pod} ready
{godate} GET /v1/leases/{int} 200 {ms}.{n}ms
{godate} reconcile {uuid} done in {ms}ms`,
    `goroutine {int} [running]:
github.com/acme/broker/internal/allocator.(*Ring).assign(0xc000{hex8}, {0xc000{hex8}, 0x{n}})
	/build/{hex8}/internal/allocator/ring.go:{n3} +0x{hex3}
net/http.HandlerFunc.ServeHTTP(0xc000{hex8}, {0x{hex8}, 0xc000{hex8}})
	/usr/local/go/src/net/http/server.go:{n4} +0x{hex3}
created by net/http.(*Server).Serve
	/usr/local/go/src/net/http/server.go:{n4} +0x{hex3}`,
    `panic: allocator: lease {int} granted to two owners ({pod}, {pod})
@`,
    `panic: runtime error: index out of range [{n}] with length {n}
@`,
    `panic: runtime error: invalid memory address or nil pointer dereference
[signal SIGSEGV: segmentation violation code=0x1 addr=0x{n} pc=0x{hex8}]
@`,
    `fatal error: concurrent map writes
@`,
    `{godate} dial tcp {ip}:5432: i/o timeout
{godate} allocator: giving up on ring {int}
@`,
  ),
  family(
    "rust",
    ["segment", "journal", "snapshot"],
    `{iso}  INFO ingest::server: accepted peer={ip}:{eport}
{iso} DEBUG ingest::wal: rotated file={hex16}.wal bytes={int}
{iso}  INFO ingest::metrics: flush took={ms}ms`,
    `stack backtrace:
   0: rust_begin_unwind
             at /rustc/{hex40}/library/std/src/panicking.rs:{n3}:5
   1: core::panicking::panic_fmt
             at /rustc/{hex40}/library/core/src/panicking.rs:{n3}:14
   2: ingest::wal::Writer::append
             at ./src/wal/writer.rs:{n3}:{n}
   3: tokio::runtime::task::core::poll
note: run with RUST_BACKTRACE=full for a verbose backtrace`,
    `thread 'tokio-runtime-worker' panicked at src/wal/writer.rs:{n3}:{n}:
segment checksum mismatch: expected 0x{hex8}, found 0x{hex8} at offset {int}
@`,
    `thread 'tokio-runtime-worker' panicked at src/wal/writer.rs:{n3}:{n}:
called Result::unwrap() on an Err value: Os { code: 28, kind: StorageFull, message: "No space left on device" }
@`,
    `thread 'main' panicked at src/wal/index.rs:{n3}:{n}:
index out of bounds: the len is {n} but the index is {n3}
@`,
    `thread 'tokio-runtime-worker' panicked at src/net.rs:{n3}:{n}:
called Option::unwrap() on a None value
@`,
    `{iso} ERROR ingest::server: peer={ip}:{eport} error=broken pipe after {int} bytes
@`,
  ),
  family(
    "dotnet",
    ["shipment", "manifest", "pallet"],
    `info: Acme.Depot.Api[{n}] Request {uuid} finished in {ms}.{n}ms 200
{iso} [INF] Connection id "0HM{hex8}" started.
{iso} [DBG] label {int} printed on device {mac}`,
    `   at Acme.Depot.Labels.Printer.Render(Label label) in C:\\agents\\{n}\\src\\Labels\\Printer.cs:line {n3}
   at Acme.Depot.Api.LabelsController.Post(Int32 id) in C:\\agents\\{n}\\src\\Api\\LabelsController.cs:line {n3}
   at Microsoft.AspNetCore.Mvc.Infrastructure.ActionMethodExecutor.Execute(IActionResultTypeMapper mapper)
   at System.Threading.Tasks.Task.ExecuteWithThreadClosure(Task& task)`,
    `fail: Microsoft.AspNetCore.Server.Kestrel[13] Connection id "0HM{hex8}", Request id "0HM{hex8}:{n}": An unhandled exception was thrown by the application.
System.InvalidOperationException: Barcode {int} of shipment {uuid} is still held by dock {n}
@`,
    `System.NullReferenceException: Object reference not set to an instance of an object.
@`,
    `System.InvalidOperationException: Timeout expired. The timeout period elapsed prior to obtaining a connection from the pool ({int} of {int}).
@`,
    `System.Net.Http.HttpRequestException: No connection could be made because the target machine actively refused it. ({ip}:8080)
@`,
    `System.IO.IOException: The process cannot access the file 'C:\\data\\{hex8}\\labels.tmp' because it is being used by another process.
@`,
  ),
  family(
    "ruby",
    ["subscription", "membership", "donation"],
    `I, [{isoms} #{pid}]  INFO -- : [{uuid}] Completed 200 OK in {ms}ms
D, [{isoms} #{pid}] DEBUG -- : Plan Load ({n}.{n}ms) SELECT plans.* WHERE id = {int}
{iso} pid={pid} tid={hex3} class=MailJob jid={hex24} INFO: done`,
    `app/services/renewal.rb:{n3}:in 'charge!'
app/jobs/renewal_job.rb:{n}:in 'perform'
/usr/local/bundle/gems/activejob-7.1.{n}/lib/active_job/execution.rb:{n}:in 'perform_now'
/usr/local/bundle/gems/sidekiq-7.2.{n}/lib/sidekiq/processor.rb:{n3}:in 'execute_job'`,
    `F, [{isoms} #{pid}] FATAL -- : [{uuid}] Renewal::ProrationError (subscription {int} has overlapping periods ending {day}):
@`,
    `F, [{isoms} #{pid}] FATAL -- : [{uuid}] NoMethodError (undefined method 'cents' for nil):
@`,
    `F, [{isoms} #{pid}] FATAL -- : [{uuid}] ActiveRecord::RecordNotFound (Couldn't find Plan with 'id'={int}):
@`,
    `{iso} pid={pid} tid={hex3} class=RenewalJob jid={hex24} WARN: Net::ReadTimeout with #<TCPSocket:(closed)>
@`,
    `F, [{isoms} #{pid}] FATAL -- : [{uuid}] ActiveRecord::Deadlocked (PG::TRDeadlockDetected: ERROR: deadlock detected DETAIL: Process {pid} waits for ShareLock on transaction {int}):
@`,
  ),
  family(
    "php",
    ["ledger", "tariff", "receipt"],
    `[{pydate}] production.INFO: order {int} shipped {"user":{int}}
[{pydate}] production.DEBUG: cache miss key={hex16}
{ip} - - [{clf}] "POST /index.php HTTP/1.1" 200 {int}`,
    `[stacktrace]
#0 /var/www/html/releases/{int}/app/Billing/Poster.php({n3}): App\\Billing\\Poster->post()
#1 /var/www/html/releases/{int}/vendor/laravel/framework/src/Illuminate/Pipeline/Pipeline.php({n3}): Illuminate\\Pipeline\\Pipeline->then()
#2 /var/www/html/releases/{int}/public/index.php({n}): Illuminate\\Foundation\\Http\\Kernel->handle()
#3 {main}`,
    `[{pydate}] production.ERROR: Unbalanced ledger entry {int}: debit {int}.{n} against credit {int}.{n} {"exception":"[object] (App\\Billing\\UnbalancedException(code: 0) at /var/www/html/releases/{int}/app/Billing/Poster.php:{n3})
@`,
    `[{pydate}] production.ERROR: SQLSTATE[40001]: Serialization failure: 1213 Deadlock found when trying to get lock (Connection: mysql, SQL: update entries set n = {int})
@`,
    `PHP Fatal error:  Allowed memory size of {int} bytes exhausted (tried to allocate {int} bytes) in /var/www/html/releases/{int}/app/Billing/Poster.php on line {n3}
@`,
    `[{pydate}] production.ERROR: Undefined array key "vat_{int}"
@`,
    `[{pydate}] production.ERROR: cURL error 28: Operation timed out after {int} milliseconds with 0 bytes received
@`,
  ),
];
