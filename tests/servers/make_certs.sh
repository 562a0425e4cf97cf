#!/bin/sh
# make_certs.sh DIR: a private authority and what it vouches for, valid for localhost and 127.0.0.1.
#   ca.crt ca.key          the authority
#   server.crt server.key  a TLS server
#   token.crt token.key    signs tokens (self-signed: it is the registry's rootcertbundle)
set -eu
dir=$1
mkdir -p "$dir"
cd "$dir"

new_key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1"; }

new_key ca.key
openssl req -x509 -new -key ca.key -days 30 -subj "/CN=imgmake test authority" -out ca.crt \
	-addext basicConstraints=critical,CA:TRUE 2>/dev/null

new_key server.key
openssl req -new -key server.key -subj "/CN=localhost" -out server.csr 2>/dev/null
printf 'subjectAltName=DNS:localhost,DNS:registry.localhost,IP:127.0.0.1\n' >server.ext
openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 \
	-extfile server.ext -out server.crt 2>/dev/null

openssl genrsa -out token.key 2048 2>/dev/null
openssl req -x509 -new -key token.key -days 30 -subj "/CN=imgmake test tokens" -out token.crt \
	2>/dev/null
