--- What a CI service says about the job that runs us. Only the variables named here are looked at, each
--- becomes an input of the recipe, and elsewhere git answers.
local engine = require "imgmake.engine"

--- The text behind one of the prefixes: "refs/heads/main" → "main"
local function after(text, ...)
  for _, prefix in ipairs { ... } do
    if text and text:sub(1, #prefix) == prefix then
      return text:sub(#prefix + 1)
    end
  end
end

--- In order: the first whose `when` is set is the one. Functions get `get(NAME)`.
local services = {
  {
    name = "github", when = "GITHUB_ACTIONS",   -- and Forgejo's and Gitea's
    branch = function(get) return get "GITHUB_HEAD_REF" or after(get "GITHUB_REF", "refs/heads/") end,
    tag = function(get) return after(get "GITHUB_REF", "refs/tags/") end,
    pull_request = function(get) return (after(get "GITHUB_REF", "refs/pull/") or ""):match("^(%d+)/") end,
  },
  {
    name = "gitlab", when = "GITLAB_CI",
    branch = function(get) return get "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME" or get "CI_COMMIT_BRANCH" end,
    tag = function(get) return get "CI_COMMIT_TAG" end,
    pull_request = function(get) return get "CI_MERGE_REQUEST_IID" end,
  },
  {
    name = "azure", when = "TF_BUILD",
    branch = function(get)
      local ref = get "SYSTEM_PULLREQUEST_SOURCEBRANCH" or get "BUILD_SOURCEBRANCH"
      return after(ref, "refs/heads/")
    end,
    tag = function(get) return after(get "BUILD_SOURCEBRANCH", "refs/tags/") end,
    pull_request = function(get)
      return get "SYSTEM_PULLREQUEST_PULLREQUESTNUMBER" or get "SYSTEM_PULLREQUEST_PULLREQUESTID"
    end,
  },
  {
    name = "bitbucket", when = "BITBUCKET_BUILD_NUMBER",
    branch = function(get) return get "BITBUCKET_BRANCH" end,
    tag = function(get) return get "BITBUCKET_TAG" end,
    pull_request = function(get) return get "BITBUCKET_PR_ID" end,
  },
  {
    name = "buildkite", when = "BUILDKITE",
    branch = function(get) return not get "BUILDKITE_TAG" and get "BUILDKITE_BRANCH" or nil end,
    tag = function(get) return get "BUILDKITE_TAG" end,
    pull_request = function(get) return (get "BUILDKITE_PULL_REQUEST" or ""):match("^%d+$") end,
  },
  {
    name = "circleci", when = "CIRCLECI",
    branch = function(get) return get "CIRCLE_BRANCH" end,
    tag = function(get) return get "CIRCLE_TAG" end,
    pull_request = function(get) return (get "CIRCLE_PULL_REQUEST" or ""):match("/(%d+)$") end,
  },
  {
    name = "travis", when = "TRAVIS",
    branch = function(get)
      return get "TRAVIS_PULL_REQUEST_BRANCH" or (not get "TRAVIS_TAG" and get "TRAVIS_BRANCH") or nil
    end,
    tag = function(get) return get "TRAVIS_TAG" end,
    pull_request = function(get) return (get "TRAVIS_PULL_REQUEST" or ""):match("^%d+$") end,
  },
  {
    name = "drone", when = "DRONE",   -- and Woodpecker, which calls itself CI=woodpecker
    branch = function(get)
      return get "DRONE_SOURCE_BRANCH" or (not get "DRONE_TAG" and get "DRONE_BRANCH") or nil
    end,
    tag = function(get) return get "DRONE_TAG" end,
    pull_request = function(get) return get "DRONE_PULL_REQUEST" end,
  },
  {
    name = "woodpecker", when = "CI_PIPELINE_FORGE_URL",
    branch = function(get)
      return get "CI_COMMIT_SOURCE_BRANCH" or (not get "CI_COMMIT_TAG" and get "CI_COMMIT_BRANCH") or nil
    end,
    tag = function(get) return get "CI_COMMIT_TAG" end,
    pull_request = function(get) return get "CI_COMMIT_PULL_REQUEST" end,
  },
  {
    name = "jenkins", when = "JENKINS_URL",
    branch = function(get)
      local name = not get "TAG_NAME" and (get "CHANGE_BRANCH" or get "BRANCH_NAME" or get "GIT_BRANCH") or nil
      return after(name, "origin/") or name
    end,
    tag = function(get) return get "TAG_NAME" end,
    pull_request = function(get) return get "CHANGE_ID" end,
  },
}

--- A variable that is set to nothing is not set: services leave what does not apply empty.
local function get(name)
  local value = engine.environment(name)
  return value ~= "" and value or nil
end

local function service()
  for _, each in ipairs(services) do
    if get(each.when) then
      return each
    end
  end
end

---@param git imgmake.lib.git  of one Imagefile
return function(git)
  local ci = {}

  ---The service that runs the job: "github", "gitlab", "azure", "bitbucket", "buildkite", "circleci", "travis",
  ---"drone", "woodpecker", "jenkins"; "other" where only CI is set; nil elsewhere.
  ---@return string?
  function ci.name()
    local found = service()
    return found and found.name or (get "CI" and "other") or nil
  end

  --- Of the service; of git where there is none that we know.
  local function fact(name, otherwise)
    local found = service()
    if found then
      return found[name](get)
    end
    return otherwise and otherwise()
  end

  ---The branch that is built, of a pull request the one it comes from; nil for a tag.
  ---@return string?
  function ci.branch()
    return fact("branch", git.branch)
  end

  ---The tag that is built; nil for a branch.
  ---@return string?
  function ci.tag()
    return fact("tag", git.tag)
  end

  ---The number of the pull or merge request that is built, as text; nil for anything else.
  ---@return string?
  function ci.pull_request()
    return fact("pull_request")
  end

  return ci
end
