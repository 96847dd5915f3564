#!/bin/sh
# Makes an authority, certificates, two databases and what tells who leads.
set -eu

# Virtual addresses are there when keepalived carries them; daemons listen on them before that.
sysctl --quiet net.ipv4.ip_nonlocal_bind=1 net.ipv6.ip_nonlocal_bind=1

mkdir -p /root/proof /etc/province/pki/database_endpoint
cd /root/proof
new() {
    openssl req -quiet -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -keyout "$@"
}
leaf() {
    new "$1.key" -subj "/CN=$2" -addext "subjectAltName=$3" -out "$1.csr"
    openssl x509 -req -in "$1.csr" -copy_extensions copy -CA root.pem -CAkey root.key \
        -days 2 -out "$1.pem"
}
new root.key -x509 -days 2 -subj /CN=root -out root.pem
domain=binhphuoc.internal
leaf db1-70 "db1-70.$domain" "DNS:db1-70.$domain"
leaf db2-70 "db2-70.$domain" "DNS:db2-70.$domain"
leaf db3-70 "log1-70.$domain" "DNS:log1-70.$domain"
for endpoint in endpoint renewed; do
    leaf $endpoint "node1.$domain" "DNS:node1.$domain,DNS:database.$domain,IP:192.0.2.99,IP:2001:db8:0:2::99,IP:192.0.2.10,IP:2001:db8:0:2::10"
done
cp root.pem /etc/province/pki/root.pem
cp endpoint.pem /etc/province/pki/database_endpoint/chain.pem
install -m 0640 endpoint.key /etc/province/pki/database_endpoint/key.pem
echo db1-70 > leader

number=11
for member in db1-70 db2-70; do
    data=/var/lib/postgresql/$member
    install -d -o postgres -m 0700 "$data"
    cd /
    as() { setpriv --reuid=postgres --regid=postgres --init-groups "$@"; }
    as /usr/lib/postgresql/17/bin/initdb --pgdata="$data" --auth-local=peer \
        --auth-host=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8 >/dev/null
    install -o postgres -m 0600 /root/proof/$member.key "$data/server.key"
    install -o postgres -m 0644 /root/proof/$member.pem "$data/server.crt"
    cat >>"$data/postgresql.conf" <<END
listen_addresses = '127.0.0.$number'
unix_socket_directories = '$data'
ssl = on
shared_buffers = 16MB
END
    cat >"$data/pg_hba.conf" <<END
local all all peer
hostssl one_stop one_stop_write,one_stop_read 127.0.0.1/32 scram-sha-256
hostssl party_office party_office_write,party_office_read 127.0.0.1/32 scram-sha-256
END
    systemd-run --quiet --unit="member_$member" --uid=postgres --service-type=notify \
        /usr/lib/postgresql/17/bin/postgres -D "$data"
    for tenant in one_stop:write-one:read-one 'party_office:write"two:read-two'; do
        database=${tenant%%:*} passwords=${tenant#*:}
        as psql --quiet --host="$data" --dbname=postgres <<END
create role ${database}_write login password '${passwords%%:*}';
create role ${database}_read login password '${passwords#*:}';
create database $database owner ${database}_write;
\\connect $database
create table who as select '$member'::text as name;
alter table who owner to ${database}_write;
grant select on who to ${database}_read;
END
    done
    number=$((number + 1))
done
systemd-run --quiet --unit=member_health --service-type=exec /root/member_health.py
