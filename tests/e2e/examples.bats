load helpers

# The examples, as they are, in a copy.

setup_file() {
	start_registry open
}

teardown_file() {
	stop_registries
}

example() {
	cp -r "$REPO_ROOT/examples/$1/." .
	find . -name build -type d -prune -exec rm -rf {} +
}

@test "hello: the image holds one file, and that runs" {
	example hello
	ok imgmake
	ok imgmake history hello
	contains "$output" 'copy'
	imgmake export hello dir:root
	equal "$(cd root && find . -type f)" ./hello
	contains "$(root/hello)" '^Hello'
	ok imgmake -q
}

@test "python-service: publishes a parent and a service with its tag family" {
	needs_root
	example python-service
	ok imgmake deploy "REGISTRY=$(repo)" "SUITE=$(suite)"
	equal "$(tags_of "$(repo)/service")" "1 1.0 1.0.0 latest"
	equal "$(tags_of "$(repo)/python")" "$(suite)"
	# The parent's layer is the service's first, and there once.
	equal "$(skopeo inspect --raw --tls-verify=false "docker://$(repo)/service:1" | jq -r '.layers[0].digest')" \
		"$(skopeo inspect --raw --tls-verify=false "docker://$(repo)/python:$(suite)" | jq -r '.layers[0].digest')"
	ok imgmake -q "REGISTRY=$(repo)" "SUITE=$(suite)"
	imgmake export service dir:root "REGISTRY=$(repo)" "SUITE=$(suite)"
	[ ! -e root/app/service/handler_test.py ]
	[ -L root/bin ]
	contains "$(chroot root python3 -c 'import sys; sys.path.insert(0, "/app"); import service.handler; print("fine")')" fine
}

suite() {
	# shellcheck disable=SC1091
	(. /etc/os-release && echo "$VERSION_CODENAME")
}

@test "monorepo: ten services on one parent; one changed file moves one of them" {
	example monorepo
	ok imgmake deploy "REGISTRY=$(repo)"
	local s
	for s in services/*; do
		equal "$(tags_of "$(repo)/$(basename "$s")")" "1 1.0 1.0.0 latest"
	done
	equal "$(ls services | wc -l)" 10
	equal "$(skopeo inspect --raw --tls-verify=false "docker://$(repo)/cart:1" | jq -r '.layers[0].digest')" \
		"$(skopeo inspect --raw --tls-verify=false "docker://$(repo)/stock:1" | jq -r '.layers[0].digest')"
	ok imgmake -q
	echo more >>services/cart/www/index.html
	echo 1.0.1 >services/cart/VERSION
	local before
	before=$(requests open | wc -l)
	ok imgmake deploy "REGISTRY=$(repo)"
	equal "$(requests open | tail -n +$((before + 1)) | grep -E '^PUT .*/manifests/' | grep -vc '/cart/')" 0
	equal "$(tags_of "$(repo)/cart")" "1 1.0 1.0.0 1.0.1 latest"
}
