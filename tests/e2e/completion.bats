#!/usr/bin/env bats
# imgmake completion: what can be typed next, as the shells ask for it.
load helpers

words() {   # WORD…: what could stand in the last one's place
	imgmake completion query -- "$@" | cut -f1
}

project() {
	recipe <<-'LUA'
		local mode = var { "MODE", default = "debug", help = "how to build" }
		image "web" { from = "scratch", write { "/a", mode } }
		image "worker" { from = "scratch", write { "/a", "b" } }
		file "gen $(touch ran)" { run = { "true" } }
	LUA
}

@test "commands and targets, targets of a command, variables" {
	project
	equal "$(words w)" "why"$'\n'web$'\n'worker
	equal "$(words build w)" web$'\n'worker
	equal "$(words build MO)" 'MODE='
	equal "$(words help why)" why
	equal "$(words completion "" | head -3)" bash$'\n'zsh$'\n'fish
	# Words that belong to an option are no command.
	contains "$(words -f Imagefile w)" '^why$'
}

@test "options of the command, and their values in every spelling" {
	project
	equal "$(words graph --form)" "--format="
	equal "$(words build --form)" ""
	equal "$(words graph --format=m)" "--format=mermaid"
	equal "$(words graph --format m)" mermaid
	equal "$(words graph --format = m)" mermaid
	equal "$(words graph --format = | wc -l)" 4
	# Every option that --help shows is offered.
	equal "$(words deploy -- | sed 's/=$//' | sort)" \
		"$(imgmake deploy --help | sed -nE 's/^  (-., |    )(--[a-z-]+).*/\2/p' | sort)"
}

@test "no Imagefile, a wrong one, and one elsewhere" {
	contains "$(words w)" '^why$'
	echo '{' >Imagefile
	contains "$(words w)" '^why$'
	mkdir sub
	(cd sub && project)
	equal "$(words -C sub build wo)" worker
	equal "$(words -f sub/Imagefile build wo)" worker
}

# What bash would put in the place of the last word.
in_bash() {
	PATH=$(dirname "$IMGMAKE"):$PATH bash --norc -c '
		source <(imgmake completion bash)
		compopt() { :; }
		COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
		_imgmake
		printf "%s\n" "${COMPREPLY[@]}"' bash "$@"
}

@test "bash takes it, and names of strangers are quoted and not run" {
	project
	equal "$(in_bash imgmake build wo)" worker
	equal "$(in_bash imgmake graph --format = mer)" mermaid
	equal "$(in_bash imgmake build gen)" 'gen\ \$\(touch\ ran\)'
	[ ! -e ran ]
}

@test "scripts for three shells, and no other" {
	ok imgmake completion zsh
	contains "$output" '^#compdef imgmake'
	ok imgmake completion fish
	contains "$output" '^complete -c imgmake'
	fails "there is bash, zsh and fish" imgmake completion tcsh
}
