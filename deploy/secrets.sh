#!/bin/sh
# Make the passwords, keys and certificate of compose.yaml, once:  sh deploy/secrets.sh [name of the host]
# They lie in deploy/secrets, which git ignores. The folder is closed to everybody else; the files in it that a container
# mounts are open inside, since each container has a user of its own. The certificate is signed by itself, for a trial.
set -eu
cd "$(dirname "$0")"
host=${1:-localhost}
umask 077
mkdir secrets || { echo "deploy/secrets is there: passwords are made once; see 'rotation' in docs/deploy.md" >&2; exit 1; }

password() { openssl rand -hex 24; }
hashed() { printf %s "$1" | openssl dgst -sha256 -r | cut -d' ' -f1; }

postgres=$(password) dagster=$(password) ledger=$(password) broker=$(password) keys=$(password) grafana=$(password)
operator=$(password)
service=$(password) publisher=$(password) observer=$(password) access=$(openssl rand -hex 10) secret=$(password)
reader=$(openssl rand -hex 10) reader_secret=$(password) logs=$(openssl rand -hex 10) logs_secret=$(password)
dropper=$(openssl rand -hex 10) dropper_secret=$(password)

printf %s "$postgres" > secrets/postgres
printf %s "$grafana" > secrets/grafana
printf '%s\n' "$operator" > secrets/operator
printf 'operator:%s\n' "$(printf %s "$operator" | openssl passwd -apr1 -stdin)" > secrets/htpasswd
printf 'requirepass %s\n' "$broker" > secrets/broker.conf
printf 'requirepass %s\n' "$keys" > secrets/keys.conf
cat > secrets/databases.sql <<SQL
CREATE USER dagster PASSWORD '$dagster';
CREATE DATABASE dagster OWNER dagster;
CREATE USER entropy PASSWORD '$ledger';
CREATE DATABASE entropy OWNER entropy;
REVOKE CONNECT ON DATABASE dagster, entropy FROM PUBLIC;
SQL
cat > secrets/objects.json <<JSON
{"identities": [
  {"name": "pipeline", "credentials": [{"accessKey": "$access", "secretKey": "$secret"}],
   "actions": ["Admin", "Read", "Write", "List", "Tagging"]},
  {"name": "service", "credentials": [{"accessKey": "$reader", "secretKey": "$reader_secret"}],
   "actions": ["Read:entropy", "List:entropy"]},
  {"name": "logs", "credentials": [{"accessKey": "$logs", "secretKey": "$logs_secret"}],
   "actions": ["Read:entropy/logs/*", "Write:entropy/logs/*", "List:entropy/logs/*"]},
  {"name": "dropper", "credentials": [{"accessKey": "$dropper", "secretKey": "$dropper_secret"}],
   "actions": ["Write:entropy/inbox/*"]}]}
JSON
sed -e "s/SERVICE_SHA256/$(hashed "$service")/" -e "s/PUBLISHER_SHA256/$(hashed "$publisher")/" \
  -e "s/OBSERVER_SHA256/$(hashed "$observer")/" ../entropy_assets/stores/pool/server/users.conf > secrets/users.conf

# One file for each role, with what it needs and no more: the service can't push, a run can't lease, and daemon and
# webserver know neither pool nor ledger, and nothing of the store but the output of runs. `dropper.env` is for who
# brings images: no role reads it.
dagster() { # access key, secret key
  echo "DAGSTER_PG_URL=postgresql+psycopg2://dagster:$dagster@postgres:5432/dagster"
  echo "DAGSTER_CELERY_BROKER_URL=redis://:$broker@broker:6379/0"
  echo "DAGSTER_CELERY_BACKEND_URL=redis://:$broker@broker:6379/1"
  store "$1" "$2"
}
store() {
  printf 'AWS_ACCESS_KEY_ID=%s\nAWS_SECRET_ACCESS_KEY=%s\n' "$1" "$2"
}
ledger="ENTROPY_LEDGER_URL=postgresql+psycopg://entropy:$ledger@postgres:5432/entropy"
dagster "$logs" "$logs_secret" > secrets/dagster.env
{ dagster "$access" "$secret"; echo "$ledger"; echo "ENTROPY_REDIS_URL=redis://publisher:$publisher@valkey:6379/0"; } \
  > secrets/pipeline.env
{ store "$reader" "$reader_secret"; echo "$ledger"; echo "ENTROPY_REDIS_URL=redis://service:$service@valkey:6379/0"
  echo "ENTROPY_KEYS=redis://:$keys@keys:6379/0"; } > secrets/service.env
store "$dropper" "$dropper_secret" > secrets/dropper.env

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 90 -subj "/CN=$host" \
  -addext "subjectAltName=DNS:$host,DNS:localhost,IP:127.0.0.1" \
  -keyout secrets/tls_key.pem -out secrets/tls_certificate.pem 2>/dev/null
for mounted in postgres grafana htpasswd broker.conf keys.conf databases.sql objects.json users.conf tls_key.pem \
  tls_certificate.pem; do
  chmod 0644 "secrets/$mounted"
done
echo "made deploy/secrets; Dagster's pages ask for 'operator' and what is in deploy/secrets/operator"
