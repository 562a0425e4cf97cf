load helpers

# ci and tags: what a service says of the job, and the tags that follow from it.

facts() {   # [NAME=VALUE…]: what the recipe sees, with nothing else of the environment
	env -i PATH="$PATH" HOME="$HOME" IMGMAKE_STORE="$IMGMAKE_STORE" "$@" "$IMGMAKE" list 2>&1 >/dev/null |
		sed -n 's/^fact //p'
}

facts_recipe() {
	recipe <<-LUA
		local function say(v) return v == nil and "-" or v end
		local p = tags.ci "r.example.com/x"
		print("fact " .. say(ci.name()) .. " " .. say(ci.branch()) .. " " .. say(ci.tag()) .. " "
		  .. say(ci.pull_request()) .. " " .. say(p.version) .. " " .. say(p.tags))
		image "x" { from = "scratch", write { "/x", "x" } }
	LUA
}

@test "each service says its branch, tag and pull request" {
	facts_recipe
	equal "$(facts)" "- - - - - dev"
	equal "$(facts CI=true)" "other - - - - dev"
	equal "$(facts GITHUB_ACTIONS=true GITHUB_REF=refs/heads/main)" "github main - - - edge"
	equal "$(facts GITHUB_ACTIONS=true GITHUB_REF=refs/heads/fix/a+b)" "github fix/a+b - - - fix-a-b"
	equal "$(facts GITHUB_ACTIONS=true GITHUB_REF=refs/tags/v1.2.3 GITHUB_HEAD_REF=)" "github - v1.2.3 - v1.2.3 -"
	equal "$(facts GITHUB_ACTIONS=true GITHUB_REF=refs/pull/12/merge GITHUB_HEAD_REF=fix GITHUB_BASE_REF=main)" \
		"github fix - 12 - pr-12"
	equal "$(facts GITLAB_CI=true CI=true CI_COMMIT_BRANCH=master CI_COMMIT_REF_NAME=master)" "gitlab master - - - edge"
	equal "$(facts GITLAB_CI=true CI_COMMIT_TAG=nightly/7 CI_COMMIT_REF_NAME=nightly/7)" "gitlab - nightly/7 - - nightly-7"
	equal "$(facts GITLAB_CI=true CI_COMMIT_TAG=web/v2.0)" "gitlab - web/v2.0 - v2.0 -"
	equal "$(facts GITLAB_CI=true CI_MERGE_REQUEST_IID=3 CI_MERGE_REQUEST_SOURCE_BRANCH_NAME=f)" "gitlab f - 3 - pr-3"
	equal "$(facts TF_BUILD=True BUILD_SOURCEBRANCH=refs/heads/a/b)" "azure a/b - - - a-b"
	equal "$(facts TF_BUILD=True BUILD_SOURCEBRANCH=refs/pull/9/merge SYSTEM_PULLREQUEST_PULLREQUESTNUMBER=9 \
		SYSTEM_PULLREQUEST_SOURCEBRANCH=refs/heads/f)" "azure f - 9 - pr-9"
	equal "$(facts BITBUCKET_BUILD_NUMBER=1 BITBUCKET_TAG=1.0)" "bitbucket - 1.0 - 1.0 -"
	equal "$(facts BUILDKITE=true BUILDKITE_BRANCH=main BUILDKITE_TAG= BUILDKITE_PULL_REQUEST=false)" "buildkite main - - - edge"
	equal "$(facts CIRCLECI=true CIRCLE_BRANCH=pull/7 CIRCLE_PULL_REQUEST=https://github.com/a/b/pull/7)" \
		"circleci pull/7 - 7 - pr-7"
	equal "$(facts TRAVIS=true TRAVIS_BRANCH=v1.0 TRAVIS_TAG=v1.0 TRAVIS_PULL_REQUEST=false)" "travis - v1.0 - v1.0 -"
	equal "$(facts DRONE=true DRONE_BRANCH=main DRONE_SOURCE_BRANCH=f DRONE_PULL_REQUEST=4)" "drone f - 4 - pr-4"
	equal "$(facts CI=woodpecker CI_PIPELINE_FORGE_URL=x CI_COMMIT_BRANCH=main)" "woodpecker main - - - edge"
	equal "$(facts JENKINS_URL=http://j/ BRANCH_NAME=PR-5 CHANGE_ID=5 CHANGE_BRANCH=f)" "jenkins f - 5 - pr-5"
	equal "$(facts JENKINS_URL=http://j/ GIT_BRANCH=origin/main)" "jenkins main - - - edge"
	equal "$(facts JENKINS_URL=http://j/ BRANCH_NAME=v3.1 TAG_NAME=v3.1)" "jenkins - v3.1 - v3.1 -"
}

@test "without a service git answers" {
	facts_recipe
	git init -q -b topic/x .
	git -c user.name=t -c user.email=t@example.com commit -q --allow-empty -m x
	equal "$(facts)" "- topic/x - - - topic-x"
	git tag v4.5.6
	equal "$(facts)" "- topic/x v4.5.6 - v4.5.6 -"
	# In a service git is not asked: it may have checked out anything.
	equal "$(facts GITHUB_ACTIONS=true GITHUB_REF=refs/heads/y)" "github y - - - y"
}

@test "a release is published on its tag, a pull request beside it, from one recipe" {
	start_registry open
	recipe <<-LUA
		image "x" {
		  from = "scratch",
		  write { "/x", "x" },
		  publish = tags.ci { "$(repo)", prefix = "v", variant = "slim", edge = "next", main = "trunk" },
		}
	LUA
	ok env GITHUB_ACTIONS=true GITHUB_REF=refs/tags/1.2.3 "$IMGMAKE" deploy
	equal "$(tags_of "$(repo)")" "slim v1-slim v1.2-slim v1.2.3-slim"
	ok env GITHUB_ACTIONS=true GITHUB_REF=refs/pull/3/merge "$IMGMAKE" deploy
	ok env GITHUB_ACTIONS=true GITHUB_REF=refs/heads/trunk "$IMGMAKE" deploy
	equal "$(tags_of "$(repo)")" "next-slim pr-3-slim slim v1-slim v1.2-slim v1.2.3-slim"
	stop_registries
}
