--- What git knows about the project. Without git, or outside of a repository, there are sensible answers.
local engine = require "imgmake.engine"
local semver = require "imgmake.semver"

--- The functions of one Imagefile, in `dir`.
return function(dir)
  local git = {}

  --- Output of a git command, nil if it fails.
  local function ask(...)
    local out, status = engine.git(dir, ...)
    return status == 0 and out or nil
  end

  ---The commit that is checked out, in full; nil outside of a repository.
  ---@return string?
  function git.commit()
    return ask("rev-parse", "--verify", "--quiet", "HEAD^{commit}")
  end

  ---The branch that is checked out; nil if none is.
  ---@return string?
  function git.branch()
    return ask("symbolic-ref", "--quiet", "--short", "HEAD")
  end

  ---The tag of the commit that is checked out, the highest version of several; nil if it has none.
  ---@return string?
  function git.tag()
    local out = ask("tag", "--points-at", "HEAD", "--sort=-version:refname")
    return out and out:match("^[^\n]+")
  end

  ---Whether files differ from the commit, or are not in it and not ignored.
  ---@return boolean
  function git.dirty()
    local out = ask("status", "--porcelain", "--ignore-submodules=dirty")
    return out ~= nil and out ~= ""
  end

  --- "v1.2.3-4-gabcdef0" → "v1.2.3", 4, "abcdef0"
  local function describe()
    local out = ask("describe", "--tags", "--long", "--abbrev=7", "--match", "v[0-9]*", "--match", "[0-9]*", "HEAD")
    local tag, commits, hash = (out or ""):match("^(.*)%-(%d+)%-g(%x+)$")
    return tag and semver.parse(tag) and tag, tonumber(commits), hash
  end

  ---The version of the project: "1.2.3" on the tag v1.2.3 (or 1.2.3) itself; after it a prerelease of the
  ---next one, "1.2.4-dev.5.gabcdef0"; with ".dirty" behind it when there are changes; without any such
  ---tag "0.0.0-dev.gabcdef0", and outside of a repository "0.0.0-dev".
  ---@return string
  function git.version()
    local tag, commits, hash = describe()
    local dirty = git.dirty()
    if tag and commits == 0 and not dirty then
      return (tag:gsub("^v", ""))
    elseif tag then
      local v = semver.parse(tag)
      local patch = v.prerelease and v.patch or v.patch + 1
      return ("%d.%d.%d-%s%d.g%s%s"):format(v.major, v.minor, patch,
        v.prerelease and v.prerelease .. ".dev." or "dev.", commits, hash, dirty and ".dirty" or "")
    end
    local commit = git.commit()
    if not commit then
      return "0.0.0-dev"
    end
    return "0.0.0-dev.g" .. commit:sub(1, 7) .. (dirty and ".dirty" or "")
  end

  --- "git@github.com:team/web.git" → "https://github.com/team/web", without credentials
  local function web_address(url)
    local host, path = url:match("^[%w_.-]+@([%w_.-]+):([^%s]+)$")
    if not host then
      host, path = url:match("^%a[%a+]*://([^/]+)/([^%s]+)$")
      host = host and host:gsub("^.*@", "")
    end
    return host and "https://" .. host .. "/" .. path:gsub("%.git$", "")
  end

  ---Annotations that say where an image comes from: revision and source. They change with every commit,
  ---and the image's digest with them.
  ---@return table<string, string>
  function git.annotations()
    local url = ask("remote", "get-url", "origin")
    return {
      ["org.opencontainers.image.revision"] = git.commit(),
      ["org.opencontainers.image.source"] = url and web_address(url) or nil,
    }
  end

  return git
end
