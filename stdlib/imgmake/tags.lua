--- Which tags a build of a branch, a pull request or a release publishes.
local check = require "imgmake.check"
local engine = require "imgmake.engine"
local semver = require "imgmake.semver"

local TAG_MAX = 128

---@param ci table  of one Imagefile
return function(ci)
  local tags = {}

  ---A tag out of any text: what tags cannot have becomes "-": "feature/Log in" → "feature-Log-in"
  ---@param text string
  ---@return string
  function tags.slug(text)
    local tag = check.value("tags.slug", "the text", text, "name"):gsub("[^%w_.-]+", "-"):gsub("^[.-]+", "")
      :sub(1, TAG_MAX):gsub("[.-]+$", "")
    if not engine.tag_valid(tag) then
      error(("tags.slug: nothing of '%s' can be in a tag"):format(text))
    end
    return tag
  end

  --- What is built → version, or plain tags.
  local function choose(o)
    local request, tag, branch = ci.pull_request(), ci.tag(), ci.branch()
    if request then
      return nil, "pr-" .. tags.slug(request)
    elseif tag then
      -- "web/v1.2.3" in a repository of many; but "nightly/7" is no version.
      local text = tag:match("/(v?%d+%.[^/]+)$") or tag:match("/(v%d[^/]*)$") or tag
      if semver.parse(text) then
        return text
      end
      return nil, tags.slug(tag)
    end
    for _, main in ipairs(o.main or { "main", "master" }) do
      if branch == main then
        return nil, o.edge or "edge"
      end
    end
    return nil, branch and tags.slug(branch) or "dev"
  end

  ---@class imgmake.CiTags: imgmake.Publish
  ---@field main? string|string[]  the branches whose builds get `edge`; main and master by default
  ---@field edge? string           "edge"

  ---What `publish` takes: of a tag v1.2.3 that version with its family, of a pull request "pr-12", of the main
  ---branch "edge", of other branches their names, and "dev" where no branch is checked out. Other options of
  ---`publish` are passed on; those that need a version only with one.
  ---@param body string|imgmake.CiTags
  ---@return imgmake.Publish
  function tags.ci(body)
    if type(body) == "string" then
      body = { body }
    elseif type(body) ~= "table" then
      check.options("tags.ci", body, {})
    end
    for _, name in ipairs { "version", "tags", "rebuild" } do
      if body[name] ~= nil then
        error(("tags.ci: '%s' is what it finds out; leave it out, or write publish = { … }"):format(name))
      end
    end
    local out, o = {}, {}
    for k, v in rawpairs(body) do
      if k == "main" or k == "edge" then
        o[k] = check.value("tags.ci", k, v, k == "main" and "names" or "name")
      else
        out[k] = v
      end
    end
    local version, tag = choose(o)
    out.version, out.tags = version, tag
    for _, name in ipairs { "prefix", "variant", "aliases", "default", "levels", "channels" } do
      if not version and name ~= "variant" then
        out[name] = nil
      end
    end
    if not version and out.variant then
      out.tags, out.variant = tags.slug(tag .. "-" .. tostring(out.variant)), nil
    end
    return out
  end

  return tags
end
