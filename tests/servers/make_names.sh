#!/bin/sh
# make_names.sh DIR: certificates for hosts that are not there, for scripted_registry.py --certs.
#   ca.crt ca.key                 the authority
#   any.crt any.key               for *.example.com and registry-1.docker.io
#   NAME.example.com.crt          expired, wrong (for another name), self (by nobody else)
#   client.cert client.key        for who has to say who he is
set -eu
dir=$1
mkdir -p "$dir"
cd "$dir"

new_key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1"; }
sign() {   # NAME SAN OPTION…
	name=$1
	printf 'subjectAltName=%s\n' "$2" >"$name.ext"
	shift 2
	[ -e "$name.key" ] || new_key "$name.key"
	openssl req -new -key "$name.key" -subj "/CN=$name" -out "$name.csr" 2>/dev/null
	openssl x509 -req -in "$name.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -extfile "$name.ext" "$@" \
		-out "$name.crt" 2>/dev/null
}

new_key ca.key
openssl req -x509 -new -key ca.key -days 30 -subj "/CN=imgmake test authority" -out ca.crt \
	-addext basicConstraints=critical,CA:TRUE 2>/dev/null
sign any 'DNS:*.example.com,DNS:registry-1.docker.io' -days 30
sign expired.example.com DNS:expired.example.com -days -1
sign wrong.example.com DNS:localhost -days 30
sign client DNS:client -days 30
mv client.crt client.cert
new_key self.example.com.key
openssl req -x509 -new -key self.example.com.key -days 30 -subj "/CN=self.example.com" -out self.example.com.crt \
	-addext subjectAltName=DNS:self.example.com 2>/dev/null
