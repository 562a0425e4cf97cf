#!/bin/sh
# meta.sh STDLIB: writes what an Imagefile sees, for editors (LuaLS): meta/*.lua, and of the modules the classes and,
# where recipes may name the module, the functions, with the annotations that stand before them.
set -eu
export LC_ALL=C
cd "$1"
# As project.lua tells them: function libraries.NAME, and the names of loops that fill `libraries`.
libraries=$(awk '/^for _, name in ipairs {/ { loop = $0; next }
	/libraries\[name\] =/ { n = split(loop, word, "\""); for (i = 2; i < n; i += 2) print word[i] }
	/^function libraries\./ { split($2, part, /[.(]/); print part[2] }' imgmake/project.lua)
cat meta/*.lua
for file in imgmake/*.lua; do
	name=$(basename "$file" .lua)
	library=$(echo "$libraries" | grep -cx "$name" || true)
	awk -v name="$name" -v library="$library" '
		{ sub(/^[ \t]+/, "") }
		/^---@param context / || /^---@param (git|ci) imgmake.lib/ { next }
		/^---/ { text = text $0 "\n"; class = class || /^---@(class|alias)/; next }
		library && !class && /^function [a-z_]+\.[a-z_]+\(/ {
			split(substr($0, 10), part, /[.(]/)
			if (part[1] == name) {
				if (!seen++)
					printf "\n---@class imgmake.lib.%s\n%s = {}\n", name, name
				sub(/\).*/, ") end")
				printf "\n%s%s\n", text, $0
			}
		}
		{ if (class && !/imgmake.Context/) printf "\n%s", text; text = ""; class = 0 }' "$file"
done
