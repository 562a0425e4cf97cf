#!/bin/sh
# embed.sh DIRECTORY: writes a C file that holds every *.lua below it (see embed.h).
set -eu
export LC_ALL=C
meta=$(cd "$(dirname "$0")" && pwd)/meta.sh
cd "$1"
modules=$(find . -name '*.lua' ! -path './meta/*' | sed 's|^\./||' | sort)

echo '/* Made by lua/embed.sh; do not edit. */'
echo '#include "lua/embed.h"'
n=0
for file in $modules; do
	echo
	echo "static const unsigned char text_$n[] = {"
	od -An -v -tu1 "$file" | sed 's/[0-9][0-9]*/&,/g'
	echo '0 };'
	n=$((n + 1))
done

echo
echo 'const struct embedded embedded_modules[] = {'
n=0
for file in $modules; do
	name=$(echo "${file%.lua}" | tr / .)
	echo "	{ \"$name\", text_$n, sizeof(text_$n) - 1 },"
	n=$((n + 1))
done
echo '};'
echo "const size_t embedded_count = $n;"

echo
echo 'const unsigned char embedded_meta[] = {'
sh "$meta" . | od -An -v -tu1 | sed 's/[0-9][0-9]*/&,/g'
echo '0 };'
echo 'const size_t embedded_meta_size = sizeof(embedded_meta) - 1;'
