/** Questions that no browser's bug report answers: other systems' errors, other languages, letters without a meaning. */
import { createRandom } from "../random.ts";

const ERRORS = `could not serialize access due to concurrent update
FATAL: remaining connection slots are reserved for superuser
deadlock detected while updating accounts
OOM command not allowed when used memory exceeds maxmemory
MISCONF Redis is configured to save RDB snapshots
Neo.TransientError.Transaction.DeadlockDetected
java.lang.OutOfMemoryError: GC overhead limit exceeded
CrashLoopBackOff: back-off restarting failed container
ImagePullBackOff unauthorized pulling from private registry
etcdserver: request timed out, possibly due to previous leader failure
kernel: Out of memory: Killed process postgres
nginx upstream prematurely closed connection while reading response header
x509: certificate signed by unknown authority in kubelet
terraform state lock could not be acquired
ORA-01555: snapshot too old
InnoDB: page checksum mismatch in tablespace
Kafka consumer group is rebalancing, offset commit failed
replication slot is lagging behind the primary by 40 GB
cannot allocate IP address for service, subnet exhausted
systemd unit entered failed state, start request repeated too quickly
too many open files in the ingest worker
checkpoint is occurring too frequently
airflow scheduler heartbeat missing, tasks stay queued
segmentation fault in the payment gateway's native module
autovacuum cannot keep up with the orders table`;

const LANGUAGES = `der Server antwortet nicht mehr seit gestern Abend
Zugriff verweigert beim Schreiben auf das Laufwerk
Speicherplatz auf dem Datenträger reicht nicht aus
die Sicherung wurde nicht vollständig abgeschlossen
Zeitüberschreitung bei der Anmeldung am Verzeichnisdienst
la base de données refuse les connexions depuis ce matin
impossible d'écrire sur le disque, espace insuffisant
le certificat du serveur a expiré hier soir
la sauvegarde n'est pas terminée avant minuit
délai dépassé pendant la réplication
el servidor no responde desde ayer por la noche
no queda espacio libre en el dispositivo
la conexión fue rechazada por el cortafuegos
il servizio si riavvia di continuo senza motivo
spazio esaurito sul volume dei dati
o servidor caiu durante a madrugada
serwer nie odpowiada od wczoraj wieczorem
соединение с базой данных потеряно
недостаточно места на диске сервера
データベースに接続できません
サーバーの応答がありません
磁盘空间不足无法写入
数据库连接被拒绝
서버가 응답하지 않습니다
الخادم لا يستجيب منذ الأمس`;

const SYLLABLES = "bla dro fex gnu hik jop kwa lum mib nax pov quz rel sti tro vup wex yib zan".split(" ");
const NONSENSE = 25;

/** 75 of them, the same every time. */
export function unknownQuestions(): string[] {
  const random = createRandom(1);
  const word = () => Array.from({ length: 2 + random.below(3) }, () => random.pick(SYLLABLES)).join("");
  const nonsense = Array.from({ length: NONSENSE }, () =>
    Array.from({ length: 4 + random.below(6) }, word).join(" "),
  );
  return [...ERRORS.split("\n"), ...LANGUAGES.split("\n"), ...nonsense];
}
